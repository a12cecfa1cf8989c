//! Bad input: each with its code and its target.

use sanntid_types::ErrorCode::{
    EntityNotFound, InvalidArgument, NotServed, ProfileNotFound, TenantUnavailable,
};

use crate::fixtures::{order, person};
use crate::instance::{Instance, OPTIONS, at};

#[test]
fn each_bad_request_is_refused_for_what_it_is() {
    let instance = Instance::new();
    for (path, option, value, code, target) in [
        ("Order", "$top", "1", EntityNotFound, "Order"),
        ("Shop_Orders", "$top", "1", NotServed, "Shop_Orders"),
        ("shop_orders('1')", "$select", "A", NotServed, "shop_orders"),
        ("Customer", "$search", "x", NotServed, "$search"),
        ("UnifiedActivity", "$search", "x", NotServed, "$search"),
        ("Customer('a')", "$expand", "X", InvalidArgument, "$expand"),
        ("Customer", "$apply", "x", InvalidArgument, "$apply"),
        (
            "Customer",
            "$filter",
            "Town eq 'x'",
            InvalidArgument,
            "$filter",
        ),
        ("Customer", "$filter", "City eq", InvalidArgument, "$filter"),
        (
            "Customer",
            "$filter",
            "Age eq 'x'",
            InvalidArgument,
            "$filter",
        ),
        ("Customer", "$orderby", "Town", InvalidArgument, "$orderby"),
        ("Customer", "$select", "Town", InvalidArgument, "$select"),
        (
            "Customer('a')",
            "$select",
            "Town",
            InvalidArgument,
            "$select",
        ),
        (
            "UnifiedActivity",
            "$select",
            "City",
            InvalidArgument,
            "$select",
        ),
        (
            "UnifiedActivity",
            "$filter",
            "City eq 'x'",
            InvalidArgument,
            "$filter",
        ),
        ("Customer", "$top", "-1", InvalidArgument, "$top"),
        ("Customer", "$skip", "x", InvalidArgument, "$skip"),
        ("Customer", "$count", "yes", InvalidArgument, "$count"),
        ("Customer", "$skiptoken", "x", InvalidArgument, "$skiptoken"),
        (
            "UnifiedActivity",
            "$skiptoken",
            "x",
            InvalidArgument,
            "$skiptoken",
        ),
        (
            "Customer('a')",
            "$filter",
            "City eq 'x'",
            InvalidArgument,
            "$filter",
        ),
        (
            "Customer('a')",
            "$orderby",
            "City",
            InvalidArgument,
            "$orderby",
        ),
        ("Customer/a", "$top", "1", InvalidArgument, "$top"),
        ("Customer/a", "$skip", "1", InvalidArgument, "$skip"),
        (
            "Customer/a",
            "$skiptoken",
            "x",
            InvalidArgument,
            "$skiptoken",
        ),
        ("Customer/a", "$count", "true", InvalidArgument, "$count"),
        (
            "Customer('')",
            "$select",
            "City",
            InvalidArgument,
            "CustomerId",
        ),
        (
            "UnifiedActivity('')",
            "$select",
            "Title",
            InvalidArgument,
            "ActivityId",
        ),
        (
            "Customer(City='a')",
            "$select",
            "City",
            InvalidArgument,
            "path",
        ),
        (
            "UnifiedActivity(CustomerId='a')",
            "$select",
            "Title",
            InvalidArgument,
            "path",
        ),
        (
            "Customer('x')",
            "$select",
            "Town",
            ProfileNotFound,
            "CustomerId",
        ),
    ] {
        let error = instance.refusal(path, &[(option, value)]);
        let got = (error.code, error.target.as_deref());
        assert_eq!(
            got,
            (code, Some(target)),
            "{path} {option}={value}: {error}"
        );
    }
}

#[test]
fn an_option_twice_is_refused_also_from_within_the_path() {
    let instance = Instance::new();
    let error = instance.refusal("Customer?$top=1", &[("top", "1")]);
    assert_eq!(error.target.as_deref(), Some("$top"));
}

#[test]
fn a_store_that_fails_at_any_read_fails_the_request() {
    let mut instance = Instance::empty();
    let rows = [order("1", at("2026-11-01T00:00:00Z"), "a1")];
    instance.refresh(
        &[person("a", None, None), person("b", None, None)],
        &[],
        &rows,
    );
    for (path, filter) in [
        ("Customer", "Age eq null"),
        ("Customer", "CustomerId in ('a', 'b')"),
        ("Customer", "ShopId eq 'a1'"),
        ("UnifiedActivity", "CustomerId eq 'a'"),
        ("UnifiedActivity", "Title ne 'x'"),
    ] {
        let options = [("$filter", filter), ("$count", "true")];
        let mut reads = 0;
        loop {
            instance.stored.breaks_after.set(Some(reads));
            let answer = instance.ask(path, &options, OPTIONS);
            if instance.stored.breaks_after.get() != Some(0) {
                assert!(answer.is_ok());
                break;
            }
            match answer {
                // The last read allowed was the last one needed.
                Ok(_) => break,
                Err(error) => assert_eq!(error.code, TenantUnavailable, "{path} {filter}"),
            }
            reads += 1;
        }
        assert!(reads > 0, "{path} {filter} reads something");
        instance.stored.breaks_after.set(None);
    }
}
