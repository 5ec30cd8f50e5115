//! Shows how a scenario and the engine differ, and rewrites scenario files.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;

use crate::language::Line;

/// One step that went differently: expected lines on the left, actual ones on the right.
#[derive(Debug)]
pub(crate) struct Difference {
    scenario: String,
    line: Line,
    rows: Vec<(String, String)>,
    panic: Option<String>,
}

impl Difference {
    pub(crate) fn new(scenario: &str, line: &Line) -> Self {
        Self { scenario: scenario.to_string(), line: line.clone(), rows: Vec::new(), panic: None }
    }

    pub(crate) fn panic(scenario: &str, line: &Line, text: &str) -> Self {
        Self { panic: Some(text.to_string()), ..Self::new(scenario, line) }
    }

    pub(crate) fn row(&mut self, expected: &str, actual: &str) {
        match self.rows.last_mut() {
            // What is missing and what came instead stand side by side.
            Some((_, beside)) if expected.is_empty() && beside.is_empty() => *beside = actual.to_string(),
            _ => self.rows.push((expected.to_string(), actual.to_string())),
        }
    }

    pub(crate) fn is_real(&self) -> bool {
        self.rows.iter().any(|(expected, actual)| expected != actual)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}\n    {}", self.line, self.scenario, self.line.text.trim())?;
        if let Some(panic) = &self.panic {
            return writeln!(f, "    the engine stopped: {panic}");
        }
        let width = self.rows.iter().map(|(expected, _)| expected.chars().count()).max().unwrap_or(0).max(8);
        writeln!(f, "    {:<width$}   actual", "expected")?;
        for (expected, actual) in &self.rows {
            let mark = if expected == actual { ' ' } else { '!' };
            writeln!(f, "  {mark} {expected:<width$} | {actual}")?;
        }
        Ok(())
    }
}

/// New lines for one step of a file.
#[derive(Debug)]
pub(crate) struct Rewrite {
    after: Line,
    removed: Vec<usize>,
    indent: String,
    lines: Vec<String>,
}

impl Rewrite {
    pub(crate) fn new(after: &Line) -> Self {
        Self { after: after.clone(), removed: Vec::new(), indent: " ".repeat(8), lines: Vec::new() }
    }

    pub(crate) fn line(&mut self, text: &str) {
        self.lines.push(text.to_string());
    }

    pub(crate) fn replaces(&mut self, line: &Line) {
        self.removed.push(line.number);
        let text = &line.text;
        self.indent = text[..text.len() - text.trim_start().len()].to_string();
    }
}

/// Writes the files anew with the given steps changed.
pub(crate) fn rewrite(rewrites: &[Rewrite]) {
    let mut files: BTreeMap<&str, Vec<&Rewrite>> = BTreeMap::new();
    for rewrite in rewrites {
        files.entry(&rewrite.after.file).or_default().push(rewrite);
    }
    for (file, rewrites) in files {
        let old = fs::read_to_string(file).expect("it was read before");
        let new = rewritten(&old, &rewrites);
        if new != old {
            fs::write(file, new).expect("scenario files can be written");
        }
    }
}

/// The text of a file with the given steps changed.
pub(crate) fn rewritten(old: &str, rewrites: &[&Rewrite]) -> String {
    let mut new = String::new();
    for (index, line) in old.lines().enumerate() {
        let number = index + 1;
        if !rewrites.iter().any(|rewrite| rewrite.removed.contains(&number)) {
            new.push_str(line);
            new.push('\n');
        }
        for rewrite in rewrites.iter().filter(|rewrite| rewrite.after.number == number) {
            for line in &rewrite.lines {
                new.push_str(&rewrite.indent);
                new.push_str(line);
                new.push('\n');
            }
        }
    }
    new
}
