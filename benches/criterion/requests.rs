//! The reader of requests on bodies of every shape: reading without a look at the texts, in bytes of JSON a second.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use policy_benches::requests::{Tree, bodies};
use policy_requests::{Piece, Place, read};
use std::hint::black_box;
use std::ops::ControlFlow;

fn reading(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("requests");
    group.sample_size(20);
    for (size, bytes) in [("1 KB", 1_000), ("10 KB", 10_000), ("1 MB", 1_000_000)] {
        for (shape, body) in bodies(bytes) {
            let tree = Tree::from(&body);
            group.throughput(Throughput::Bytes(body.to_string().len() as u64));
            group.bench_with_input(BenchmarkId::new(shape, size), &tree, |bencher, tree| {
                bencher.iter(|| {
                    let (mut pieces, mut text) = (0u64, 0usize);
                    let mut sink = |piece: Piece<'_, &Tree>, _place: Place| {
                        pieces += 1;
                        if let Piece::Text(found) = piece {
                            text += found.len();
                        }
                        ControlFlow::Continue(())
                    };
                    let _never = read(black_box(tree), &mut sink);
                    (pieces, text)
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, reading);
criterion_main!(benches);
