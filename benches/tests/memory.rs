//! What policies cost in memory once they are loaded.

use policy_benches::{ours, workloads};
use policy_compiler::{Compiler, Options};
use policy_runtime::Policies;

#[test]
fn a_loaded_rule_of_tenants_10k_takes_less_than_two_kilobytes() {
    let bundle = ours::bundle(&workloads::by_name("tenants-10k").unwrap().policy).unwrap();
    let mut loaded = None;
    let counted = allocation_counter::measure(|| loaded = Some(Policies::from_bundle(&bundle, &[]).unwrap()));
    let rules = loaded.unwrap().manifest().rules.len();
    assert_eq!(rules, 10_000);
    let (kept, peak) = (counted.bytes_current, counted.bytes_max);
    println!(
        "{kept} bytes stay, {peak} at most while loading: {} a rule",
        kept / 10_000
    );
    assert!(kept > 0 && kept < 2048 * 10_000, "{kept} bytes for 10,000 rules");
}

/// Texts of the policies included: what a host pays for not compiling them again.
#[test]
fn a_kept_policy_of_one_rule_takes_less_than_nine_kilobytes() {
    let mut compiler = Compiler::new(Options::default());
    let counted = allocation_counter::measure(|| {
        for (name, text) in workloads::tenant_policies(10_000) {
            compiler.set(name, text);
        }
        compiler.build().unwrap();
    });
    let (kept, peak) = (counted.bytes_current, counted.bytes_max);
    println!(
        "{kept} bytes stay, {peak} at most while building: {} a policy",
        kept / 10_000
    );
    assert!(
        kept > 0 && kept < 9216 * 10_000,
        "{kept} bytes for 10,000 policies"
    );
}
