"""Tokens of a real identity provider, shown by the published client: of users, of their groups, and of an app."""

from contextlib import contextmanager

import pytest
import requests
from dynamics.customerinsights.api import models
from msrest.exceptions import HttpOperationError

from conftest import document, published_client
from identity import AUDIENCE, IdentityProvider
from server import STEP_MAX_SECONDS, Http
from shop import Shop

pytestmark = pytest.mark.skipif(IdentityProvider.why_not() is not None, reason=str(IdentityProvider.why_not()))


@pytest.fixture(scope="module")
def provider():
    provider = IdentityProvider()
    yield provider
    provider.stop()


@pytest.fixture(scope="module")
def trusting(start_server, provider):
    """A server that finds the provider's keys by its issuer alone."""
    settings = [f"identity.issuer={provider.issuer}", f"identity.audience={AUDIENCE}", "identity.operators=user:root"]
    return start_server(*settings)


@pytest.fixture
def operator(trusting):
    http = Http(trusting.url)
    yield http
    http.close()


@pytest.fixture
def shop(operator):
    return Shop(operator)


@contextmanager
def client_with(server, token: str):
    """The published client, which knows no token: it is one more header."""
    with published_client(f"{server.url}/api", None) as client:
        client.config.headers["Authorization"] = f"Bearer {token}"
        yield client


def assign(operator, shop, principal: str, kind: str, role: str) -> None:
    path = f"/api/instances/{shop.id}/rbac/principals/{principal}/assignment"
    operator.send("PUT", path, json={"principalType": kind, "roles": [role]}, expect=200)


def test_a_user_reads_and_writes_as_their_groups_may(trusting, provider, operator, shop):
    with client_with(trusting, provider.user_token("ada")) as ada:
        assert ada.get_all_instances() == []
        assign(operator, shop, "readers", "group", "viewer")
        assert [one.instance_id for one in ada.get_all_instances()] == [shop.id]
        mine = ada.get_current_user_role(shop.id)
        assert (mine.principal_id, mine.principal_type, mine.roles) == ("ada", "user", ["viewer"])
        assert ada.get_entities_with_odata_path(shop.id, "Customer('C1')") is not None
        with pytest.raises(HttpOperationError) as refused:
            ada.get_all_role_assignments(shop.id)
        assert refused.value.response.status_code == 403
        assign(operator, shop, "writers", "group", "contributor")
        ada.update_an_entity(shop.id, "Customer", "C1", document(City="Bergen"))
    city = operator.get(f"/api/instances/{shop.id}/data/Customer('C1')").json()["City"]
    assert city == "Bergen"


def test_a_user_has_their_own_role_and_an_operator_all(trusting, provider, operator, shop):
    assign(operator, shop, "bob", "user", "administrator")
    with client_with(trusting, provider.user_token("bob")) as bob:
        (given,) = bob.update_a_role_assignment(
            shop.id, "bob", models.RoleAssignment(principal_id="bob", principal_type="user", roles=["viewer"])
        )
        assert given.roles == ["viewer"]
        assert bob.get_current_user_role(shop.id).roles == ["viewer"]
    with client_with(trusting, provider.user_token("root")) as root:
        assert shop.id in [one.instance_id for one in root.get_all_instances()]
        assert root.get_current_user_role(shop.id).roles == ["administrator"]


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
def test_an_app_has_its_own_role_with_every_algorithm(trusting, provider, operator, shop, algorithm):
    assign(operator, shop, "crm", "app", "contributor")
    with client_with(trusting, provider.app_token(algorithm)) as crm:
        mine = crm.get_current_user_role(shop.id)
        assert (mine.principal_id, mine.principal_type, mine.roles) == ("crm", "app", ["contributor"])
        crm.update_an_entity(shop.id, "Customer", "C1", document(City="Bodø"))


def test_a_token_is_refused_with_a_reason(trusting, provider, shop):
    bearer = {"Authorization": f"Bearer {provider.user_token('ada')}x"}
    url = f"{trusting.url}/api/instances/{shop.id}/data/Customer('C1')"
    # The published client shows a 401 as if it were an answer.
    answer = requests.get(url, headers=bearer, timeout=STEP_MAX_SECONDS)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token", error_description="the token')
