"""What the client sends again by itself is stored once, and it waits as long as it is told."""

import pytest
from dynamics.customerinsights.api.models import CreatedResult, InstanceCreationRequest, InstanceMetadata
from msrest.exceptions import ClientRequestError

from conftest import RESENDS_WRITES, document, published_client
from proxy import Cut, Refuse
from shop import visit


def create(client, shop, asked: dict, **options):
    return client.create_an_entity(shop.id, "UnifiedActivity", document(**asked), **options)


def replays(proxy) -> list[bool]:
    """Of each request that reached the server, whether it answered a replay."""
    answered = [seen.answer_headers for seen in proxy.seen if seen.answer_headers is not None]
    return [headers.get("sanntid-replayed") == "true" for headers in answered]


def test_a_post_whose_answer_was_lost_is_stored_once(proxied, proxy, shop):
    asked = visit()
    proxy.plan(Cut())
    if RESENDS_WRITES:
        made = create(proxied, shop, asked)
    else:
        with pytest.raises(ClientRequestError):
            create(proxied, shop, asked)
        made = create(proxied, shop, asked)
    assert isinstance(made, CreatedResult)
    assert [seen.status for seen in proxy.seen] == [201, 201]
    assert proxy.seen[0].body == proxy.seen[1].body
    assert replays(proxy) == [False, True]
    assert made.value["state"] == "stored"
    assert shop.timeline("C1") == [asked["ActivityId"], "Shop_Orders:O1"]


def test_a_post_without_an_id_whose_answers_were_lost_is_stored_once(proxied, proxy, shop):
    asked = visit()
    del asked["ActivityId"]
    proxy.plan(Cut(), Cut())
    # The client sends a write again once at most, so that a second loss is its caller's to handle.
    for _ in range(1 if RESENDS_WRITES else 2):
        with pytest.raises(ClientRequestError):
            create(proxied, shop, asked)
    assert isinstance(create(proxied, shop, asked), CreatedResult)
    assert replays(proxy) == [False, True, True]
    assert len(shop.timeline("C1")) == 2


def test_a_patch_whose_answer_was_lost_leaves_one_value(proxied, proxy, shop):
    proxy.plan(Cut())

    def patch():
        return proxied.update_an_entity(shop.id, "Customer", "C1", document(City="Bodø"), caller="crm", raw=True)

    if not RESENDS_WRITES:
        with pytest.raises(ClientRequestError):
            patch()
    assert patch().response.status_code == 204
    assert [seen.status for seen in proxy.seen] == [204, 204]
    assert shop.profile("C1")["City"] == "Bodø"
    assert shop.profile("C1", "?view=source")["City"] == "Oslo"


def test_a_read_whose_answer_was_lost_is_sent_again(proxied, proxy, shop):
    proxy.plan(Cut())
    read = proxied.get_entities_with_odata_path(shop.id, "Customer('C1')")
    assert read.additional_properties["City"] == "Oslo"
    assert len(proxy.seen) == 2


@pytest.mark.parametrize("status", [429, 503])
def test_a_post_refused_for_a_while_is_sent_again_when_it_was_told_to(proxied, proxy, shop, status):
    asked = visit()
    proxy.plan(Refuse(status, retry_after=1))
    made = create(proxied, shop, asked)
    if not RESENDS_WRITES:
        assert made is None
        made = create(proxied, shop, asked)
    assert isinstance(made, CreatedResult)
    assert replays(proxy) == [False]
    if RESENDS_WRITES:
        first, second = proxy.seen
        assert second.at - first.at >= 1
    assert shop.timeline("C1") == [asked["ActivityId"], "Shop_Orders:O1"]


def test_a_post_refused_twice_gives_nothing_and_stores_nothing(proxied, proxy, shop):
    asked = visit()
    proxy.plan(Refuse(503, retry_after=0), Refuse(503, retry_after=0))
    for _ in range(1 if RESENDS_WRITES else 2):
        assert create(proxied, shop, asked) is None
    assert shop.timeline("C1") == ["Shop_Orders:O1"]
    assert isinstance(create(proxied, shop, asked), CreatedResult)
    assert replays(proxy) == [False]


def test_a_post_that_failed_at_a_gateway_is_stored_once(proxied, proxy, shop):
    asked = visit()
    proxy.plan(Refuse(500))
    made = create(proxied, shop, asked)
    if not RESENDS_WRITES:
        assert made is None
        made = create(proxied, shop, asked)
    assert isinstance(made, CreatedResult)
    assert len(proxy.seen) == 2
    assert shop.timeline("C1") == [asked["ActivityId"], "Shop_Orders:O1"]


def test_a_read_refused_for_a_while_is_sent_again_when_it_was_told_to(proxied, proxy, shop):
    proxy.plan(Refuse(503, retry_after=1))
    read = proxied.get_entities_with_odata_path(shop.id, "Customer('C1')")
    assert read.additional_properties["City"] == "Oslo"
    first, second = proxy.seen
    assert second.at - first.at >= 1


def test_a_server_that_can_not_store_says_when_to_come_again(start_server):
    full = start_server("store.free_space_min_bytes=1EiB")
    with published_client(f"{full.url}/api") as client:
        # It would wait as long as it is told, and then raise what it was answered.
        client.config.retry_policy.retries = 0
        client.config.retry_policy.policy.raise_on_status = False
        body = InstanceCreationRequest(instance_metadata=InstanceMetadata(name="Shop", instance_type="sandbox"))
        answer = client.create_an_instance(body, raw=True)
        assert answer.output is None
        assert (answer.response.status_code, answer.response.json()["errorCode"]) == (503, "diskFull")
        assert int(answer.response.headers["Retry-After"]) > 0
        assert answer.response.headers["Sanntid-Limit"] == "freeSpace"
        assert client.get_all_instances() == []
