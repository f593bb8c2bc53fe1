//! A warm normaliser allocates nothing, and neither does reading the size of an image. A binary of its own, because the
//! allocator of a process is counted.

use policy_primitives::normalize::Normalizer;
use policy_primitives::tokens;

#[test]
fn a_warm_normaliser_allocates_nothing() {
    let texts = [
        "word ".repeat(10_000),
        "ｉｇｎоrе \u{200b}ﷺ ".repeat(1_000),
        format!("e{}", "\u{301}\u{323}\u{345}".repeat(10_000)),
        "한국어 e\u{301} ".repeat(1_000),
    ];
    let (mut normalizer, mut out) = (Normalizer::default(), String::new());
    for text in &texts {
        normalizer.normalize(text, &mut out);
    }
    let counted = allocation_counter::measure(|| {
        for text in &texts {
            normalizer.normalize(text, &mut out);
        }
    });
    assert_eq!(counted.count_total, 0);
}

#[test]
fn sizes_of_images_are_read_without_memory() {
    let jpeg = format!("/9j/4QAM{}", "A".repeat(100_000));
    let counted = allocation_counter::measure(|| {
        let size = tokens::image_size(&jpeg);
        assert_eq!(tokens::image("gpt-4o", None, size).tokens, 1445);
    });
    assert_eq!(counted.count_total, 0);
}

/// Marks of any number and order behind one letter cost time in proportion.
#[test]
fn many_marks_cost_linear_time() {
    let (mut normalizer, mut out) = (Normalizer::default(), String::new());
    let mut time = |count: usize| {
        let text = format!("e{}", "\u{345}\u{301}\u{323}\u{315}".repeat(count));
        let best = (0..3).map(|_| {
            let start = std::time::Instant::now();
            normalizer.normalize(&text, &mut out);
            start.elapsed()
        });
        best.min().unwrap_or_default()
    };
    let (small, large) = (time(20_000), time(160_000));
    assert!(large < small * 40, "{small:?} {large:?}");
}
