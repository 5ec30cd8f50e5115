//! Chores of the repository. `cargo xtask` alone lists them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;

const USAGE: &str = "\
usage: cargo xtask openapi-diff FILE   compares our OpenAPI document with an official one
       cargo xtask openapi             prints our OpenAPI document";

/// Differences that are meant, one a line: the difference, ` # `, the reason.
const EXPLAINED: &str = "openapi-differences.txt";

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["openapi-diff", file] => openapi_diff(Path::new(file)),
        ["openapi"] => {
            println!("{:#}", pointsman_api::openapi::value());
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            eprintln!("{USAGE}");
            Ok(ExitCode::from(2))
        }
    }
}

/// Prints what is not explained, and explanations that explain nothing; either makes it fail.
fn openapi_diff(file: &Path) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
    let official = serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))?;
    let explained = std::fs::read_to_string(EXPLAINED).with_context(|| format!("failed to read {EXPLAINED}"))?;
    let explained: BTreeSet<&str> = explained
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .filter_map(|line| line.rsplit_once(" # ").map(|(difference, _)| difference))
        .collect();
    let found = pointsman_api::openapi::differences(&official);
    let found: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    for difference in found.difference(&explained) {
        println!("not explained: {difference}");
    }
    for difference in explained.difference(&found) {
        println!("explained, but not a difference: {difference}");
    }
    println!("{} differences, {} explained", found.len(), found.intersection(&explained).count());
    Ok(if found == explained { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
