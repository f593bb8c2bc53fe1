//! Brings the price table up to LiteLLM's price map of a day: `refresh_prices MAP.json DAY TABLE`.
//!
//! For maintainers; see `policy_primitives::prices::refresh` for what is taken over and what is kept. A TABLE that is not
//! there yet is made.

use std::error::Error;
use std::io::ErrorKind;

use policy_primitives::prices::{PriceTable, refresh};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [map, day, path] = arguments.as_slice() else {
        return Err("usage: refresh_prices MAP.json DAY TABLE".into());
    };
    let before = match std::fs::read_to_string(path) {
        Ok(text) => PriceTable::parse(&text)?,
        Err(error) if error.kind() == ErrorKind::NotFound => PriceTable::default(),
        Err(error) => return Err(error.into()),
    };
    let table = refresh::update(&before, &std::fs::read_to_string(map)?, day)?;
    let text = table.to_text();
    std::fs::write(path, &text)?;
    let models = table.entries();
    let priced = models.iter().filter(|model| model.has_price()).count();
    let retired = models.iter().filter(|model| model.last_listed.is_some()).count();
    println!(
        "{} models, {priced} with prices, {retired} of them no longer listed, {} bytes",
        models.len(),
        text.len()
    );
    Ok(())
}
