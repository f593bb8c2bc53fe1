//! Tests of `costops`.

use super::{BatchBody, SOURCE, Usage, batch_json};
use crate::json::write_json;

#[test]
fn a_batch_of_records_is_the_batch_of_the_client() {
    let usage = |id: &str| Usage {
        id: id.to_owned(),
        timestamp: "2025-11-30T12:00:00Z".to_owned(),
        organization: "example".to_owned(),
        provider: "openai".to_owned(),
        model: "gpt-4o".to_owned(),
        input_tokens: 1200,
        output_tokens: 300,
        project: Some("p".to_owned()),
        user: None,
    };
    let usages = [usage("a"), usage("b")];
    let records: Vec<Vec<u8>> = usages
        .iter()
        .map(|usage| usage.to_record_json().unwrap())
        .collect();
    let body = BatchBody {
        batch_id: "id",
        source: SOURCE,
        records: usages.iter().map(|usage| usage.record().unwrap()).collect(),
    };
    assert_eq!(batch_json("id", &records).unwrap(), write_json(&body).unwrap());
    assert!(batch_json::<Vec<u8>>("id", &[]).is_err());
    assert!(batch_json("", &records).is_err());
    let nobody = Usage {
        organization: String::new(),
        ..usage("c")
    };
    assert!(nobody.to_record_json().is_err());
}
