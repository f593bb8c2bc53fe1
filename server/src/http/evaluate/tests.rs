//! Answers of decisions.

use super::{Shown, results};
use crate::error::{Code, ServiceError};
use policy_runtime::Verb;

#[test]
fn a_batch_keeps_order_and_counts_everything() {
    let ok = |verb, json: &str| {
        Ok(Shown {
            verb,
            json: json.to_owned(),
        })
    };
    let text = results(
        "x",
        vec![
            ok(Verb::Deny, "{\"n\":1}"),
            Err(ServiceError::new(Code::MalformedContext, "a \"quote\"")),
            ok(Verb::Allow, "{\"n\":3}"),
        ],
    );
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["results"][0]["n"], 1);
    assert_eq!(value["results"][1]["error"]["detail"], "a \"quote\"");
    assert_eq!(value["results"][1]["requestId"], "x-1");
    assert_eq!(value["results"][2]["n"], 3);
    assert_eq!(
        value["summary"],
        serde_json::json!({"allow": 1, "deny": 1, "warn": 0, "modify": 0, "errors": 1})
    );
    assert_eq!(value["count"], 3);
    let empty: serde_json::Value = serde_json::from_str(&results("x", Vec::new())).unwrap();
    assert_eq!(empty["count"], 0);
}
