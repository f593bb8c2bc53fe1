//! The contenders, one file each.

mod casbin;
mod cedar;
mod cel;
mod datalogic;
mod hand_written;
mod ours;
mod regorus;
mod zen;

use crate::contender::Engine;

/// Every engine, in the order of the tables. Ratios are taken to the first and to the second, the bound.
pub(crate) static ALL: [Engine; 12] = [
    ours::RESPONSE,
    hand_written::ENGINE,
    ours::VERDICT,
    datalogic::ENGINE,
    regorus::VM,
    regorus::INTERPRETER,
    regorus::DATA_VM,
    regorus::DATA_INTERPRETER,
    zen::ENGINE,
    cel::ENGINE,
    cedar::ENGINE,
    casbin::ENGINE,
];

/// Those of the growth plot: of each engine, the form that does best with tenants, and rules as rules.
pub(crate) fn in_growth() -> impl Iterator<Item = &'static Engine> {
    let left_out = [
        ours::VERDICT.name,
        regorus::INTERPRETER.name,
        regorus::DATA_INTERPRETER.name,
    ];
    ALL.iter().filter(move |engine| !left_out.contains(&engine.name))
}
