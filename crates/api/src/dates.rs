//! Dates on the wire. Out: UTC, whole seconds, `2024-03-05T14:07:09Z`, nothing else (rest-contract, section 1.7).
//! In: the spellings of statistics, section 3.1.

use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use pointsman_engine::Timestamp;

/// 1900-01-01T00:00:00Z: before it no Task may start (reference: rest-contract, section 6.9).
pub const YEAR_1900: Timestamp = Timestamp(-2_208_988_800_000);

/// Writes `2024-03-05T14:07:09Z`; what is beyond the second is cut.
pub fn write(out: &mut String, at: Timestamp) {
    let date = civil(at);
    four(out, date.year());
    pair(out, "-", date.month());
    pair(out, "-", date.day());
    pair(out, "T", date.hour());
    pair(out, ":", date.minute());
    pair(out, ":", date.second());
    out.push('Z');
}

/// As text.
pub fn format(at: Timestamp) -> String {
    let mut out = String::with_capacity(20);
    write(&mut out, at);
    out
}

/// RFC 3339 with milliseconds, `2024-03-05T14:07:09.120Z`: the form of our extensions.
pub fn format_ms(at: Timestamp) -> String {
    let seconds = format(at);
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), at.0.rem_euclid(1000))
}

/// RFC 2822, `Tue, 03 Feb 2026 08:00:00 +0000`: the form of the Keys resource.
pub fn format_rfc2822(at: Timestamp) -> String {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let date = civil(at);
    let day = DAYS[date.weekday().to_monday_zero_offset() as usize];
    let month = MONTHS[date.month() as usize - 1];
    let mut out = format!("{day}, {:02} {month} ", date.day());
    four(&mut out, date.year());
    pair(&mut out, " ", date.hour());
    pair(&mut out, ":", date.minute());
    pair(&mut out, ":", date.second());
    out.push_str(" +0000");
    out
}

fn civil(at: Timestamp) -> DateTime {
    let second = at.seconds().clamp(jiff::Timestamp::MIN.as_second(), jiff::Timestamp::MAX.as_second());
    Offset::UTC.to_datetime(jiff::Timestamp::from_second(second).expect("clamped to what jiff takes"))
}

fn four(out: &mut String, year: i16) {
    let year = year.clamp(0, 9999);
    two(out, (year / 100) as i8);
    two(out, (year % 100) as i8);
}

fn pair(out: &mut String, before: &str, number: i8) {
    out.push_str(before);
    two(out, number);
}

fn two(out: &mut String, number: i8) {
    out.push(char::from(b'0' + number as u8 / 10));
    out.push(char::from(b'0' + number as u8 % 10));
}

/// Reads a date.
///
/// - Forms: `YYYY-MM-DD`, or `YYYY-MM-DDThh:mm:ss`, then `.` and digits (cut to milliseconds), then `Z` or `±hh:mm`; a
///   blank stands for `+`. No zone is UTC. A day or time that does not exist is refused.
pub fn parse(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let day = bytes.get(..10)?;
    if day[4] != b'-' || day[7] != b'-' {
        return None;
    }
    let date = Date::new(digits(&day[..4])? as i16, digits(&day[5..7])? as i8, digits(&day[8..])? as i8).ok()?;
    if bytes.len() == 10 {
        return instant(date.at(0, 0, 0, 0), 0, 0);
    }
    let time = bytes.get(10..19)?;
    if time[0] != b'T' || time[3] != b':' || time[6] != b':' {
        return None;
    }
    let [hour, minute, second] = [digits(&time[1..3])?, digits(&time[4..6])?, digits(&time[7..])?];
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut rest = &bytes[19..];
    let mut ms = 0;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return None;
        }
        for place in 0..3 {
            ms = ms * 10 + fraction[..count].get(place).map_or(0, |digit| i64::from(digit - b'0'));
        }
        rest = &fraction[count..];
    }
    instant(date.at(hour as i8, minute as i8, second as i8, 0), ms, zone_seconds(rest)?)
}

fn instant(date: DateTime, ms: i64, zone_seconds: i64) -> Option<Timestamp> {
    let second = Offset::UTC.to_timestamp(date).ok()?.as_second();
    Some(Timestamp((second - zone_seconds) * 1000 + ms))
}

fn zone_seconds(zone: &[u8]) -> Option<i64> {
    match zone {
        [] | b"Z" => Some(0),
        [sign @ (b'+' | b'-' | b' '), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
            let seconds = i64::from(hours) * 3600 + i64::from(minutes) * 60;
            (hours < 24 && minutes < 60).then_some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

fn digits(text: &[u8]) -> Option<u16> {
    text.iter().try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u16::from(byte - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(parse(text).map(format_ms).as_deref(), expected, "{text}");
    }

    #[test]
    fn every_documented_spelling_is_read() {
        check("2024-03-04", Some("2024-03-04T00:00:00.000Z"));
        check("2024-03-04T09:00:00Z", Some("2024-03-04T09:00:00.000Z"));
        check("2024-03-04T09:00:00", Some("2024-03-04T09:00:00.000Z"));
        check("2024-03-04T09:00:00.1", Some("2024-03-04T09:00:00.100Z"));
        check("2024-03-04T09:00:00.123999Z", Some("2024-03-04T09:00:00.123Z"));
        check("2024-03-04T09:00:00+02:00", Some("2024-03-04T07:00:00.000Z"));
        check("2024-03-04T09:00:00 02:00", Some("2024-03-04T07:00:00.000Z"));
        check("2024-03-04T09:00:00-01:30", Some("2024-03-04T10:30:00.000Z"));
        check("2024-02-29", Some("2024-02-29T00:00:00.000Z"));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "2024",
            "2023-02-29",
            "2024-13-01",
            "2024-03-04T",
            "2024-03-04T09:00",
            "2024-03-04t09:00:00Z",
            "2024-03-04T09:00:00z",
            "2024-03-04T24:00:00Z",
            "2024-03-04T23:60:00Z",
            "2024-03-04T23:59:60Z",
            "2024-03-04T09:00:00.Z",
            "2024-03-04T09:00:00+0200",
            "2024-03-04T09:00:00+24:00",
            "2024-03-04 09:00:00",
            "2024-03-04T09:00:00Zx",
            "é024-03-04",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn the_year_1900_begins_where_the_constant_says() {
        assert_eq!(parse("1900-01-01"), Some(YEAR_1900));
    }

    #[test]
    fn the_keys_resource_has_its_own_form() {
        assert_eq!(format_rfc2822(parse("2026-02-03T08:00:00Z").unwrap()), "Tue, 03 Feb 2026 08:00:00 +0000");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(ms in 0_i64..253_402_300_799_000) {
            prop_assert_eq!(parse(&format(Timestamp(ms))), Some(Timestamp(ms - ms % 1000)));
            prop_assert_eq!(parse(&format_ms(Timestamp(ms))), Some(Timestamp(ms)));
        }

        #[test]
        fn reading_never_panics(text in ".{0,40}") {
            parse(&text);
        }
    }
}
