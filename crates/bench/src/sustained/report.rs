//! What was measured: as a table, second by second, and as a picture.

use std::fmt::Write;

use super::{Activity, Run, Sample, Sizes, Span};

const SECOND: u64 = 1_000_000;
const MIB: f64 = 1_048_576.0;

/// Latencies of some requests, in ms.
#[derive(Clone, Copy, Default)]
struct Latencies {
    count: usize,
    p50: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

impl Latencies {
    fn of(mut took: Vec<u64>) -> Latencies {
        if took.is_empty() {
            return Latencies::default();
        }
        took.sort_unstable();
        let at = |quantile: f64| took[((took.len() - 1) as f64 * quantile).round() as usize] as f64 / 1_000.0;
        Latencies { count: took.len(), p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1.0) }
    }
}

/// Latencies of the requests that were answered in each piece of the run.
fn by_piece(run: &Run, piece: u64) -> Vec<Latencies> {
    let count = (run.sizes.len() as u64 * SECOND).div_ceil(piece);
    let mut pieces = vec![Vec::new(); count as usize];
    for sample in &run.requests {
        if let Some(piece) = pieces.get_mut(((sample.began + sample.took) / piece) as usize) {
            piece.push(sample.took);
        }
    }
    pieces.into_iter().map(Latencies::of).collect()
}

/// Whether something went on while a request was answered. The spans follow each other.
fn went_beside(sample: &Sample, spans: &[Span]) -> bool {
    let next = spans.partition_point(|span| span.to < sample.began);
    spans.get(next).is_some_and(|span| span.from <= sample.began + sample.took)
}

fn spans_of(run: &Run, activity: Activity) -> Vec<Span> {
    run.spans.iter().copied().filter(|span| span.activity == activity).collect()
}

/// The figures, in Markdown.
pub(super) fn table(run: &Run) -> String {
    let mut out = String::new();
    let minutes = run.sizes.len() as u64 / 60;
    let capacity =
        run.capacity.map_or(String::new(), |capacity| format!(" (half of the {capacity:.0} that were possible)"));
    let Run { rate, waiting, snapshot_records, .. } = run;
    let mut line = |text: String| writeln!(out, "{text}").expect("a String takes all text");
    line(format!(
        "{minutes} minutes, {rate:.0} life cycles of four requests per second{capacity}, beside {waiting} waiting tasks; \
         a snapshot after every {snapshot_records} changes.\n"
    ));
    line("| minute | requests/s | p50 ms | p99 ms | longest ms | memory MiB | journal MiB | its log MiB | snapshots MiB | history MiB | snapshots | trims |".to_owned());
    line(format!("|{}", " --- |".repeat(12)));
    for (index, latencies) in by_piece(run, 60 * SECOND).iter().enumerate() {
        let (from, to) = (index as u64 * 60 * SECOND, (index as u64 + 1) * 60 * SECOND);
        let sizes = run.sizes[..run.sizes.len().min((index + 1) * 60)].last().copied().unwrap_or_default();
        let ended = |activity| spans_of(run, activity).iter().filter(|span| (from..to).contains(&span.to)).count();
        let mib = |bytes: u64| bytes as f64 / MIB;
        line(format!(
            "| {} | {:.0} | {:.2} | {:.2} | {:.1} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {} | {} |",
            index + 1,
            latencies.count as f64 / 60.0,
            latencies.p50,
            latencies.p99,
            latencies.max,
            mib(sizes.memory),
            mib(sizes.journal),
            mib(sizes.log),
            mib(sizes.snapshots),
            mib(sizes.history),
            ended(Activity::Snapshot),
            ended(Activity::Trim)
        ));
    }
    for (what, samples) in [("requests", &run.requests), ("commits", &run.commits)] {
        out.push('\n');
        out.push_str(&beside(what, samples, run));
    }
    out
}

/// Latencies of requests or commits, by what went on beside them.
fn beside(what: &str, samples: &[Sample], run: &Run) -> String {
    let mut out = format!("| {what} | count | p50 ms | p99 ms | p99.9 ms | longest ms |\n|{}\n", " --- |".repeat(6));
    let kinds = Activity::ALL.map(|activity| spans_of(run, activity));
    let some = |keep: &dyn Fn(&Sample) -> bool| {
        Latencies::of(samples.iter().filter(|sample| keep(sample)).map(|sample| sample.took).collect())
    };
    let is_busy = |sample: &Sample| kinds.iter().any(|spans| went_beside(sample, spans));
    let mut rows = vec![("all".to_owned(), some(&|_| true))];
    for (activity, spans) in Activity::ALL.iter().zip(&kinds) {
        let longest = spans.iter().map(|span| span.to - span.from).max().unwrap_or_default();
        let name = format!("beside a {} ({}, at most {} ms)", activity.name(), spans.len(), longest / 1_000);
        rows.push((name, some(&|sample| went_beside(sample, spans))));
    }
    let (busy, quiet) = (some(&is_busy), some(&|sample| !is_busy(sample)));
    rows.push(("beside any of these".to_owned(), busy));
    rows.push(("otherwise".to_owned(), quiet));
    let mut line = |text: String| writeln!(out, "{text}").expect("a String takes all text");
    for (name, Latencies { count, p50, p99, p999, max }) in rows {
        line(format!("| {name} | {count} | {p50:.2} | {p99:.2} | {p999:.2} | {max:.1} |"));
    }
    line(format!("\np99 of {what} beside any of these / p99 otherwise: {:.2}.", busy.p99 / quiet.p99));
    out
}

/// The page of the figures, with the picture.
pub(super) fn page(table: &str) -> String {
    format!(
        "# Store: sustained load\n\nWritten by `pointsman-bench sustained`, as are `sustained.csv` and the picture. What it means is in [store.md](store.md).\n\n\
         ![Latencies, memory and disk by second](sustained.svg)\n\n{table}"
    )
}

/// One line for each second.
pub(super) fn csv(run: &Run) -> String {
    let mut out = String::from(
        "second,requests,p50_ms,p99_ms,longest_ms,memory_bytes,journal_bytes,log_bytes,snapshots_bytes,history_bytes,\
         snapshot_ms,trim_ms,projection_ms\n",
    );
    let kinds = Activity::ALL.map(|activity| spans_of(run, activity));
    for (second, (latencies, sizes)) in by_piece(run, SECOND).iter().zip(&run.sizes).enumerate() {
        let Sizes { memory, journal, log, snapshots, history } = sizes;
        let Latencies { count, p50, p99, max, .. } = latencies;
        write!(out, "{},{count},{p50:.3},{p99:.3},{max:.3}", second + 1).expect("a String takes all text");
        write!(out, ",{memory},{journal},{log},{snapshots},{history}").expect("a String takes all text");
        for spans in &kinds {
            let (from, to) = (second as u64 * SECOND, (second as u64 + 1) * SECOND);
            let within: u64 = spans.iter().map(|span| span.to.min(to).saturating_sub(span.from.max(from))).sum();
            write!(out, ",{}", within / 1_000).expect("a String takes all text");
        }
        out.push('\n');
    }
    out
}

const WIDTH: f64 = 960.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 16.0;
/// Top and bottom of the two plots.
const UPPER: (f64, f64) = (56.0, 330.0);
const LOWER: (f64, f64) = (400.0, 600.0);
const HEIGHT: f64 = 640.0;

/// Its name, its color, and what it shows.
type Curve = (&'static str, &'static str, fn(&Sizes) -> u64);

/// Latencies above, on a logarithmic scale, over bands where snapshots were taken and the journal was trimmed; memory
/// and disk below.
pub(super) fn svg(run: &Run) -> String {
    let seconds = run.sizes.len().max(1) as f64;
    let x = |second: f64| LEFT + (WIDTH - LEFT - RIGHT) * second / seconds;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/>\n"
    );
    let mut add = |text: String| writeln!(out, "{text}").expect("a String takes all text");
    let text = |x: f64, y: f64, anchor: &str, text: &str| {
        format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" fill=\"#222222\">{text}</text>")
    };
    let rule = |x1: f64, y1: f64, x2: f64, y2: f64| {
        format!("<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#dddddd\"/>")
    };
    let right = WIDTH - RIGHT;

    for (activity, color) in [(Activity::Snapshot, "#cfe3ff"), (Activity::Trim, "#ffe2c4")] {
        for span in spans_of(run, activity) {
            let (from, to) = (x(span.from as f64 / SECOND as f64), x(span.to as f64 / SECOND as f64).min(right));
            let (top, height) = (UPPER.0, UPPER.1 - UPPER.0);
            let width = (to - from).max(1.0);
            add(format!(
                "<rect x=\"{from:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"{height}\" fill=\"{color}\"/>"
            ));
        }
    }
    // Four decades: 0.1 ms to 1 s, and what is longer at the top.
    let latency_y = |ms: f64| UPPER.1 - (UPPER.1 - UPPER.0) * ((ms.clamp(0.1, 1_000.0).log10() + 1.0) / 4.0);
    for (ms, name) in [(0.1, "0.1 ms"), (1.0, "1 ms"), (10.0, "10 ms"), (100.0, "100 ms"), (1_000.0, "1 s")] {
        add(rule(LEFT, latency_y(ms), right, latency_y(ms)));
        add(text(LEFT - 6.0, latency_y(ms) + 4.0, "end", name));
    }
    let latencies = by_piece(run, SECOND);
    let line = |values: &dyn Fn(usize) -> f64, count: usize, color: &str| {
        let points: Vec<String> =
            (0..count).map(|second| format!("{:.1},{:.1}", x(second as f64 + 0.5), values(second))).collect();
        let points = points.join(" ");
        format!("<polyline points=\"{points}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.2\"/>")
    };
    for (second, latencies) in latencies.iter().enumerate() {
        let (x, y) = (x(second as f64 + 0.5), latency_y(latencies.max));
        add(format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"1.3\" fill=\"#c0392b\"/>"));
    }
    add(line(&|second| latency_y(latencies[second].p99), latencies.len(), "#1f5fbf"));
    add(line(&|second| latency_y(latencies[second].p50), latencies.len(), "#2e8b57"));

    let curves: [Curve; 5] = [
        ("memory", "#7b3fa0", |sizes| sizes.memory),
        ("journal", "#1f5fbf", |sizes| sizes.journal),
        ("its log", "#c0392b", |sizes| sizes.log),
        ("snapshots", "#888888", |sizes| sizes.snapshots),
        ("history", "#2e8b57", |sizes| sizes.history),
    ];
    let most = run.sizes.iter().flat_map(|sizes| curves.map(|(_, _, of)| of(sizes))).max().unwrap_or_default();
    let step = nice_step(most as f64 / MIB / 4.0);
    let top = ((most as f64 / MIB / step).ceil() * step).max(step);
    let size_y = |mib: f64| LOWER.1 - (LOWER.1 - LOWER.0) * mib / top;
    let mut mib = 0.0;
    while mib <= top {
        add(rule(LEFT, size_y(mib), right, size_y(mib)));
        add(text(LEFT - 6.0, size_y(mib) + 4.0, "end", &format!("{mib:.0} MiB")));
        mib += step;
    }
    for (_, color, of) in curves {
        add(line(&|second| size_y(of(&run.sizes[second]) as f64 / MIB), run.sizes.len(), color));
    }

    let step = nice_step(seconds / 10.0);
    let mut second = 0.0;
    while second <= seconds {
        add(text(x(second), LOWER.1 + 18.0, "middle", &format!("{second:.0} s")));
        add(text(x(second), UPPER.1 + 18.0, "middle", &format!("{second:.0} s")));
        second += step;
    }
    let upper = [
        ("p50", "#2e8b57"),
        ("p99", "#1f5fbf"),
        ("longest", "#c0392b"),
        ("snapshot taken", "#cfe3ff"),
        ("journal trimmed", "#ffe2c4"),
    ];
    add(text(
        LEFT,
        24.0,
        "start",
        &format!("Requests by second, {:.0} life cycles of four requests per second", run.rate),
    ));
    add(text(LEFT, LOWER.0 - 34.0, "start", "Memory and disk"));
    for (y, legend) in [(40.0, upper), (LOWER.0 - 18.0, curves.map(|(name, color, _)| (name, color)))] {
        for (index, (name, color)) in legend.into_iter().enumerate() {
            let x = LEFT + index as f64 * 140.0;
            add(format!("<rect x=\"{x}\" y=\"{:.1}\" width=\"14\" height=\"8\" fill=\"{color}\"/>", y - 8.0));
            add(text(x + 20.0, y, "start", name));
        }
    }
    out.push_str("</svg>\n");
    out
}

/// 1, 2 or 5 times a power of ten, at least a value.
fn nice_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.max(1.0).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|factor| factor * power).find(|step| least <= *step).unwrap_or(power * 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Run {
        let span = |activity, from, to| Span { activity, from, to };
        Run {
            rate: 1.0,
            capacity: None,
            waiting: 0,
            snapshot_records: 100,
            requests: (0..1_200).map(|number| Sample { began: number * 50_000, took: 1_000 + number }).collect(),
            commits: (0..600).map(|number| Sample { began: number * 100_000, took: 200 }).collect(),
            spans: vec![
                span(Activity::Snapshot, 10 * SECOND, 11 * SECOND),
                span(Activity::Trim, 11 * SECOND, 11 * SECOND + 1_000),
                span(Activity::Projection, 59 * SECOND, 60 * SECOND),
            ],
            sizes: vec![Sizes { memory: 100 << 20, journal: 7 << 20, ..Sizes::default() }; 60],
        }
    }

    #[test]
    fn a_request_went_beside_what_began_before_its_end_and_ended_after_its_beginning() {
        let spans = [(10, 20), (30, 40)].map(|(from, to)| Span { activity: Activity::Trim, from, to });
        let cases = [(0, 9, false), (0, 10, true), (15, 1, true), (20, 1, true), (21, 8, false), (21, 9, true)];
        for (began, took, expected) in cases.into_iter().chain([(41, 100, false)]) {
            assert_eq!(went_beside(&Sample { began, took }, &spans), expected, "{began} {took}");
        }
    }

    #[test]
    fn every_second_has_its_line_and_the_factor_is_told() {
        let run = run();
        let csv = csv(&run);
        assert_eq!(csv.lines().count(), 61);
        assert!(csv.lines().nth(11).unwrap().ends_with(",1000,0,0"), "{csv}");
        let table = table(&run);
        assert!(table.contains("| beside a snapshot (1, at most 1000 ms) | 21 |"), "{table}");
        assert!(table.contains("p99 of requests beside any of these / p99 otherwise: 1.0"), "{table}");
        assert!(table.contains("p99 of commits beside any of these / p99 otherwise: 1.00."), "{table}");
        let picture = svg(&run);
        assert_eq!(picture.matches("<circle").count(), 60);
        assert!(picture.ends_with("</svg>\n") && !picture.contains("NaN"));
    }
}
