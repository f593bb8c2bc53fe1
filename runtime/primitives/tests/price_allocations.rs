//! Looking up a price and computing a cost allocates nothing, whether the model is found or not.

use policy_primitives::prices::{PriceTable, Resolution};

#[test]
fn nothing_is_allocated() {
    let table = PriceTable::builtin();
    let names = [
        (None, "gpt-4o"),
        (Some("azure"), "GPT-4o-2099-01-01"),
        (None, "ft:gpt-4o:acme"),
        (
            Some("openrouter"),
            "bedrock/eu-south-9/us.anthropic.claude-sonnet-4-5-latest",
        ),
        (None, "not-in-the-table-at-all"),
    ];
    let mut dollars = 0.0;
    let allocations = allocation_counter::measure(|| {
        for (provider, model) in names {
            if let Resolution::Known { entry, .. } = table.resolve(provider, model) {
                let cost = entry.estimated_cost(1234, None).unwrap_or_default();
                dollars += cost.to_dollars_f64()
                    + entry
                        .max_cost(u64::MAX, None)
                        .unwrap_or_default()
                        .to_dollars_f64();
            }
        }
    });
    assert!(dollars > 0.0);
    assert_eq!(allocations.count_total, 0, "{allocations:?}");
}
