//! Writes the price table out of LiteLLM's price map: `refresh_prices IN.json OUT`.
//!
//! For maintainers; see `policy_primitives::prices::refresh` for what is taken over.

use std::error::Error;

use policy_primitives::prices::{PriceTable, refresh};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = arguments.as_slice() else {
        return Err("usage: refresh_prices IN.json OUT".into());
    };
    let text = refresh::from_litellm_json(&std::fs::read_to_string(input)?)?;
    let table = PriceTable::parse(&text)?;
    std::fs::write(output, &text)?;
    let models = table.entries();
    let priced = models.iter().filter(|model| model.rates.is_some()).count();
    let tiered = models.iter().filter(|model| !model.tiers.is_empty()).count();
    println!(
        "{} models, {priced} with prices, {tiered} with tiers, {} bytes",
        models.len(),
        text.len()
    );
    Ok(())
}
