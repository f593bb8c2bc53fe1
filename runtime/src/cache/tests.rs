//! The parts of the cache that its callers do not see.

use crate::timings::Timings;
use policy_bytecode::bundle::CostCertificate;

#[test]
fn the_bound_counts_until_something_was_measured_and_is_never_exceeded() {
    let bound = CostCertificate {
        fixed_cost: 100,
        cost_per_text_kb: 20_000,
        ..CostCertificate::default()
    };
    let timings = Timings::default();
    assert_eq!(timings.expected(&bound, 2048), 40_100);
    timings.add(2048, 500);
    assert_eq!(timings.expected(&bound, 2048), 500);
    assert_eq!(timings.expected(&bound, 3000), 500, "the same size");
    assert_eq!(timings.expected(&bound, 8192), 160_100, "another size");
    timings.add(2048, u64::MAX);
    assert_eq!(timings.expected(&bound, 2048), 40_100);
    for _ in 0..600 {
        timings.add(2048, 80);
    }
    assert!(timings.expected(&bound, 2048) < 100);
    timings.add(0, 0);
    timings.add(usize::MAX, 1);
    assert_eq!(timings.expected(&bound, 0), 1);
}
