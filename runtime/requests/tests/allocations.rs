//! Reading allocates nothing, whatever comes, and neither does rewriting where nothing changes. A binary of its own,
//! because the allocator of a process is counted.

mod common;

use policy_requests::{JsonEditor, Piece, Place, Step, choices, extra, limit, read, rewrite};
use serde_json::{Value, json};
use std::ops::ControlFlow;

#[test]
fn nothing_is_allocated() {
    let mut bodies = common::bodies();
    let mut deep = json!("text");
    for _ in 0..100 {
        deep = json!([{ "content": deep }]);
    }
    bodies.push(json!({ "messages": deep }));
    bodies.push(
        json!({"messages": [{"content": [{"data": "QUJD".repeat(100_000)}, {"url": "x".repeat(100_000)}]}]}),
    );
    bodies.push(json!({"input": (0..10_000).collect::<Vec<_>>()}));
    let mut pieces = 0;
    for llm in &bodies {
        let counted = allocation_counter::measure(|| {
            let mut sink = |_piece: Piece<'_, &Value>, _place: Place| {
                pieces += 1;
                ControlFlow::Continue(())
            };
            assert!(read(llm, &mut sink).is_continue());
            let mut same = JsonEditor(|_: &str, _: Place| None);
            // Numbers reach a JSON editor as new strings; texts do not.
            if common::no_numbers(llm) {
                assert_eq!(rewrite(llm, &[Step::Key("llm")], &mut same), None);
            }
            let _asked = (choices(llm), extra(llm), limit(llm));
        });
        assert_eq!(counted.count_total, 0, "{counted:?}");
    }
    assert!(pieces > 80, "{pieces}");
}

#[test]
fn a_sink_that_has_enough_ends_the_reading() {
    let llm = json!({"messages": (0..1000).map(|n| json!({"role": "user", "content": n.to_string()})).collect::<Vec<_>>()});
    let mut pieces = 0;
    let mut sink = |piece: Piece<'_, &Value>, _place: Place| {
        pieces += 1;
        if matches!(piece, Piece::Text("3")) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    };
    assert!(read(&llm, &mut sink).is_break());
    assert_eq!(pieces, 11);
}
