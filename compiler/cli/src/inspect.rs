//! `policyc inspect`: what a bundle holds, without running it.

mod index;
mod listing;

use crate::exit::Exit;
use crate::output::shown;
use crate::{Host, engine, output};
use anyhow::Context as _;
use owo_colors::OwoColorize as _;
use policy_bytecode::bundle::{self, Bundle, SectionSize, key_id};
use policy_bytecode::disasm;
use policy_bytecode::manifest::Manifest;
use policy_bytecode::module::{Module, PatternEngine};
use policy_bytecode::predicate::{PredOp, Predicate};
use policy_bytecode::scan::{OnHit, Scan, Scanned};
use policy_bytecode::verify::{HostLimits, verify};
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;

/// Literals of one comparison that are named.
const LITERALS_NAMED: usize = 4;

/// Show what a bundle holds
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Signatures are checked against their own keys; whether a key is trusted is a question for \
                        `policyc verify`.\n\nExample:\n  policyc inspect policies.bundle --disasm"
)]
pub(crate) struct Args {
    /// The bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
    /// Print the instructions instead
    #[arg(long)]
    disasm: bool,
    /// With --disasm: everything that the assembler needs, automata included
    #[arg(long, requires = "disasm")]
    full: bool,
    /// With --disasm: where each instruction was written, as `at FILE:LINE:COLUMN` at the end of its comment
    #[arg(long, requires = "disasm")]
    places: bool,
    /// Show how each rule is reached, and why a rule is looked at for every request
    #[arg(long, conflicts_with = "disasm")]
    index: bool,
    /// JSON for machines
    #[arg(long, conflicts_with = "disasm")]
    json: bool,
}

pub(crate) fn run(args: Args, _host: Host) -> anyhow::Result<Exit> {
    let refused = || format!("`{}` is refused", args.bundle.display());
    let bytes = output::read(&args.bundle)?;
    let name = args.bundle.display().to_string();
    let bundle = Bundle::decode(&bytes).map_err(|error| engine::refused(&name, error))?;
    verify(bundle.module.clone(), &HostLimits::default()).with_context(refused)?;
    if args.disasm {
        listing::show(&bundle, &name, args.full, args.places)?;
        return Ok(Exit::Ok);
    }
    if args.index {
        index::show(&bundle, args.json)?;
        return Ok(Exit::Ok);
    }
    let sections = bundle::section_sizes(&bytes).with_context(refused)?;
    if args.json {
        output::json(&document(&bundle, &sections, bytes.len()))?;
    } else {
        text(&bundle, &sections, bytes.len())?;
    }
    Ok(Exit::Ok)
}

fn document(bundle: &Bundle, sections: &[SectionSize], bytes: usize) -> Value {
    let (module, manifest) = (&bundle.module, &bundle.manifest);
    let policies: Vec<Value> = manifest
        .policies
        .iter()
        .zip(&module.policies)
        .map(|(info, range)| {
            json!({
                "id": info.id, "name": info.name, "version": info.version, "namespace": info.namespace,
                "priority": info.priority, "tags": info.tags, "rules": range.rule_count,
                "file": manifest.files.get(info.file as usize),
            })
        })
        .collect();
    let rules: Vec<Value> = manifest
        .rules
        .iter()
        .zip(&module.rules)
        .map(|(info, rule)| {
            json!({
                "policy": manifest.policies.get(rule.policy.index()).map(|p| &p.id),
                "id": info.id, "name": info.name, "decision": rule.decision.as_str(),
                "firesOnError": rule.fires_on_error, "line": info.line, "column": info.column,
            })
        })
        .collect();
    let fields: Vec<Value> = module
        .fields
        .iter()
        .map(|f| json!({ "path": disasm::field_path(f), "derived": f.derived.is_some() }))
        .collect();
    let patterns: Vec<Value> = module
        .patterns
        .iter()
        .map(|p| match &p.engine {
            PatternEngine::Dfa { bytes, ascii_only } => json!({
                "source": p.source, "engine": "dfa", "bytes": bytes.len(), "asciiOnly": ascii_only,
            }),
            PatternEngine::Source { reason } => json!({
                "source": p.source, "engine": "source", "reason": reason,
            }),
        })
        .collect();
    let scans: Vec<Value> = module
        .scans
        .iter()
        .map(|scan| scan_document(&bundle.module, scan))
        .collect();
    let limits = &module.limits;
    json!({
        "revision": manifest.revision,
        "digest": bundle.digest.to_string(),
        "bytes": bytes,
        "compiler": manifest.compiler,
        "optLevel": manifest.opt_level,
        "signatures": bundle.signatures.iter().map(|s| json!({ "keyId": key_id(&s.public_key) })).collect::<Vec<_>>(),
        "sections": sections.iter().map(|s| json!({ "name": s.name, "bytes": s.bytes })).collect::<Vec<_>>(),
        "files": manifest.files,
        "warnings": manifest.warnings,
        "moreWarnings": manifest.more_warnings,
        "policies": policies,
        "rules": rules,
        "fields": fields,
        "patterns": patterns,
        "scans": scans,
        "counts": {
            "constants": module.consts.len(), "predicates": module.predicates.len(),
            "memoCells": module.memo_cells, "functions": module.functions.len(),
            "instructions": instructions(bundle),
        },
        "limits": {
            "fuel": limits.fuel, "bodyBytes": limits.body_bytes, "depth": limits.depth,
            "arenaBytes": limits.arena_bytes, "callDepth": limits.call_depth,
        },
        "cost": {
            "instructions": bundle.certificate.instructions, "predicates": bundle.certificate.predicates,
            "scansPerTextByte": bundle.certificate.scans_per_text_byte, "derived": bundle.certificate.derived,
            "fixedCost": bundle.certificate.fixed_cost, "costPerTextKb": bundle.certificate.cost_per_text_kb,
        },
    })
}

fn scan_document(module: &Module, scan: &Scan) -> Value {
    let literals: Vec<Value> = scan
        .literals
        .iter()
        .map(|literal| {
            let exact = Some(&literal.exact).filter(|exact| !exact.is_empty());
            json!({ "folded": literal.folded, "exact": exact })
        })
        .collect();
    let predicates: Vec<Value> = scan
        .predicates
        .iter()
        .map(|scanned| {
            let (on_hit, range) = match scanned.on_hit {
                OnHit::True => ("true", None),
                OnHit::Search => ("search", None),
                OnHit::Near { min, max } => ("near", Some([min, max])),
            };
            json!({
                "predicate": asked(module, scanned), "literals": scanned.literals, "onHit": on_hit,
                "bytesBefore": range,
            })
        })
        .collect();
    json!({
        "field": module.fields.get(scan.field.index()).map(disasm::field_path),
        "literals": literals,
        "predicates": predicates,
    })
}

/// A predicate of a scan as it was written.
fn asked(module: &Module, scanned: &Scanned) -> String {
    let predicate = module.predicates.get(scanned.predicate.index());
    predicate.map_or_else(String::new, |p| disasm::predicate_text(module, p))
}

/// Predicates that search a field as a scan does, but on their own.
fn searched_alone(module: &Module) -> usize {
    let searches = |p: &&Predicate| matches!(p.op, PredOp::Matches | PredOp::Contains | PredOp::ContainsFold);
    let scanned: usize = module.scans.iter().map(|scan| scan.predicates.len()).sum();
    module
        .predicates
        .iter()
        .filter(searches)
        .count()
        .saturating_sub(scanned)
}

fn instructions(bundle: &Bundle) -> usize {
    bundle.module.functions.iter().map(|f| f.code.len()).sum()
}

fn scans(out: &mut impl Write, module: &Module) -> anyhow::Result<()> {
    if module.scans.is_empty() {
        return Ok(());
    }
    let heading = format!("one scan per text ({})", module.scans.len());
    writeln!(out, "\n{}", heading.bold())?;
    for scan in &module.scans {
        let field = module.fields.get(scan.field.index()).map(disasm::field_path);
        let bytes = scan.literals.iter().map(|literal| literal.folded.len()).sum();
        writeln!(
            out,
            "  {}: {} looked for ({}), {} answered",
            field.unwrap_or_default(),
            output::count(scan.literals.len(), "literal", "literals"),
            output::bytes(bytes),
            output::count(scan.predicates.len(), "comparison", "comparisons")
        )?;
        for scanned in &scan.predicates {
            let literals = scanned
                .literals
                .iter()
                .filter_map(|l| scan.literals.get(*l as usize));
            let mut named: Vec<String> = literals.map(|literal| format!("{:?}", literal.folded)).collect();
            named.dedup();
            let more = named.len().saturating_sub(LITERALS_NAMED);
            named.truncate(LITERALS_NAMED);
            let mut named = named.join(" ");
            if more > 0 {
                named.push_str(&format!(" and {more} more"));
            }
            let then = match scanned.on_hit {
                OnHit::True => "",
                OnHit::Near { .. } => ", then tried there",
                OnHit::Search => ", then the whole text",
            };
            writeln!(
                out,
                "    {}  {}{}",
                shown(&asked(module, scanned)),
                named.dimmed(),
                then.dimmed()
            )?;
        }
    }
    let alone = searched_alone(module);
    if alone > 0 {
        writeln!(
            out,
            "  {} run on their own",
            output::count(alone, "other search", "other searches")
        )?;
    }
    Ok(())
}

/// What the compiler warned of when it made the bundle.
fn warnings(manifest: &Manifest, out: &mut impl std::io::Write) -> std::io::Result<()> {
    if manifest.warnings.is_empty() {
        return Ok(());
    }
    let count = manifest.warnings.len() + manifest.more_warnings as usize;
    writeln!(out, "\n{}", format!("warnings ({count})").bold())?;
    for warning in &manifest.warnings {
        let place = format!("{}:{}:{}", warning.file, warning.line, warning.column);
        writeln!(
            out,
            "  {} {}  {}",
            shown(&warning.code),
            shown(&warning.message),
            shown(&place).dimmed()
        )?;
    }
    Ok(())
}

fn text(bundle: &Bundle, sections: &[SectionSize], bytes: usize) -> anyhow::Result<()> {
    let (module, manifest, cost) = (&bundle.module, &bundle.manifest, &bundle.certificate);
    let mut out = output::stdout();
    let signers: Vec<String> = bundle.signatures.iter().map(|s| key_id(&s.public_key)).collect();
    writeln!(out, "revision   {}", shown(&manifest.revision))?;
    writeln!(out, "digest     {}", bundle.digest)?;
    writeln!(
        out,
        "signed by  {}",
        if signers.is_empty() {
            "nobody".to_owned()
        } else {
            signers.join(", ")
        }
    )?;
    writeln!(
        out,
        "compiler   {}, -O{}",
        shown(&manifest.compiler),
        manifest.opt_level
    )?;
    let sizes: Vec<String> = sections
        .iter()
        .map(|s| format!("{} {}", s.name, output::bytes(s.bytes)))
        .collect();
    writeln!(out, "size       {} ({})", output::bytes(bytes), sizes.join(", "))?;
    warnings(manifest, &mut out)?;

    writeln!(
        out,
        "\n{}",
        format!("policies ({})", manifest.policies.len()).bold()
    )?;
    for (info, range) in manifest.policies.iter().zip(&module.policies) {
        let file = manifest.files.get(info.file as usize).map_or("", String::as_str);
        writeln!(
            out,
            "  {} {}  namespace {}, priority {}, {}  {}",
            shown(&info.id),
            shown(&info.version),
            shown(&info.namespace),
            info.priority,
            output::count(range.rule_count as usize, "rule", "rules"),
            shown(file).dimmed()
        )?;
    }
    writeln!(
        out,
        "\n{}",
        format!("fields read ({})", module.fields.len()).bold()
    )?;
    for field in &module.fields {
        let derived = if field.derived.is_some() { "  computed" } else { "" };
        writeln!(out, "  {}{derived}", disasm::field_path(field))?;
    }
    if !module.patterns.is_empty() {
        writeln!(
            out,
            "\n{}",
            format!("patterns ({})", module.patterns.len()).bold()
        )?;
    }
    for pattern in &module.patterns {
        let engine = match &pattern.engine {
            PatternEngine::Dfa { bytes, ascii_only } => {
                let ascii = if *ascii_only {
                    ", from source on non-ASCII text"
                } else {
                    ""
                };
                format!("automaton of {}{ascii}", output::bytes(bytes.len()))
            }
            PatternEngine::Source { reason } => format!("built when loaded: {reason}"),
        };
        writeln!(out, "  /{}/  {}", shown(&pattern.source), shown(&engine).dimmed())?;
    }
    scans(&mut out, module)?;
    writeln!(out, "\n{}", "code".bold())?;
    writeln!(
        out,
        "  {} rules, {} predicates, {} memo cells, {} constants, {} functions, {} instructions",
        module.rules.len(),
        module.predicates.len(),
        module.memo_cells,
        module.consts.len(),
        module.functions.len(),
        instructions(bundle)
    )?;
    writeln!(out, "\n{}", "highest cost of one evaluation".bold())?;
    writeln!(
        out,
        "  {} instructions, {} predicates, {} passes over each byte of text",
        cost.instructions, cost.predicates, cost.scans_per_text_byte
    )?;
    if !cost.derived.is_empty() {
        writeln!(out, "  may compute {}", cost.derived.join(", "))?;
    }
    writeln!(
        out,
        "  {} units, and {} for each kilobyte of text (a unit is roughly a nanosecond of one core)",
        cost.fixed_cost, cost.cost_per_text_kb
    )?;
    let limits = &module.limits;
    writeln!(out, "\n{}", "limits".bold())?;
    writeln!(
        out,
        "  {} instructions, body {}, depth {}, arena {}, {} nested calls",
        limits.fuel,
        output::bytes(usize::try_from(limits.body_bytes).unwrap_or(usize::MAX)),
        limits.depth,
        output::bytes(usize::try_from(limits.arena_bytes).unwrap_or(usize::MAX)),
        limits.call_depth
    )?;
    out.flush()?;
    Ok(())
}
