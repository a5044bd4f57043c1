//! Dates as HTTP writes them, in seconds since 1970.

const DAY: u64 = 86_400;
/// From the first of March of the year 0, with which leap days come last in their years, to 1970.
const DAYS_BEFORE: u64 = 719_468;
const DAYS_OF_400_YEARS: u64 = 146_097;
/// The last second of the year 9999: no date has five digits for the year.
const LAST: u64 = 253_402_300_799;

const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The date in the form that is sent, such as `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(crate) fn format(seconds: u64) -> String {
    let seconds = seconds.min(LAST);
    let (days, second) = (seconds / DAY, seconds % DAY);
    let (year, month, day) = civil(days);
    format!(
        "{}, {day:02} {} {year:04} {:02}:{:02}:{:02} GMT",
        WEEKDAYS[(days % 7) as usize],
        MONTHS[month as usize],
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

/// Reads a date in each of the three forms that a server must understand; `now` tells the century of the one that has
/// two digits for the year.
pub(crate) fn parse(text: &[u8], now: u64) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let parts = text.split([' ', ',', '-']).filter(|part| !part.is_empty());
    let parts: Vec<&str> = parts.collect();
    let (day, month, year, time) = match parts[..] {
        [_, day, month, year, time, "GMT"] => (day, month, year, time),
        [_, month, day, time, year] => (day, month, year, time),
        _ => return None,
    };
    let month = MONTHS.iter().position(|name| *name == month)? as u64;
    let year = match (year.len(), number(year)?) {
        (2, year) => {
            let (this_year, ..) = civil(now / DAY);
            // Over 50 years ahead it is one of the past.
            let latest = this_year + 50;
            latest - (latest + 100 - year) % 100
        }
        (_, year) => year,
    };
    let date = (year, month, number(day)?);
    let days = days_of(date).filter(|days| civil(*days) == date)?;
    let mut clock = time.split(':').map(number);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let possible = hour < 24 && minute < 60 && second <= 60 && clock.next().is_none();
    possible.then_some(days * DAY + hour * 3600 + minute * 60 + second)
}

fn number(digits: &str) -> Option<u64> {
    let all = digits.bytes().all(|digit| digit.is_ascii_digit());
    digits.parse().ok().filter(|_| all && digits.len() <= 4)
}

/// Year, month from 0, and day of a number of days since 1970.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + DAYS_BEFORE;
    let (age, day) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    // Each fourth year has a leap day, but the hundredth has none, and the four hundredth has one.
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // From March on, five months have 153 days.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = 400 * age + year + u64::from(month >= 10);
    (year, (month + 2) % 12, day)
}

fn days_of((year, month, day): (u64, u64, u64)) -> Option<u64> {
    let (year, month) = match month {
        0 | 1 => (year.checked_sub(1)?, month + 10),
        _ => (year, month - 2),
    };
    let days = year * 365 + year / 4 - year / 100 + year / 400;
    (days + (153 * month + 2) / 5 + day).checked_sub(1 + DAYS_BEFORE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: u64 = 784_111_777;
    const NOW: u64 = 1_800_000_000;

    #[test]
    fn the_three_forms_are_of_one_second() {
        assert_eq!(format(EXAMPLE), "Sun, 06 Nov 1994 08:49:37 GMT");
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse(text.as_bytes(), NOW), Some(EXAMPLE), "{text}");
        }
    }

    #[test]
    fn each_day_comes_back() {
        for day in 0..LAST / DAY {
            let seconds = day * DAY + day % DAY;
            let date = civil(day);
            assert_eq!(days_of(date), Some(day), "{date:?}");
            if day % 97 == 0 {
                assert_eq!(parse(format(seconds).as_bytes(), NOW), Some(seconds));
            }
        }
        assert_eq!(format(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(format(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
        assert_eq!(format(u64::MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn two_digits_are_a_year_near_this_one() {
        let year = |digits: &str| {
            let text = format!("Sunday, 06-Nov-{digits} 08:49:37 GMT");
            civil(parse(text.as_bytes(), NOW).unwrap() / DAY).0
        };
        assert_eq!((year("27"), year("77"), year("78")), (2027, 2077, 1978));
        assert_eq!((year("99"), year("00")), (1999, 2000));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "yesterday",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 31 Nov 1994 08:49:37 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "Sun, 06 Now 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 06 Nov 1994 08:49:37:00 GMT",
            "Sun, 06 Nov 1894 08:49:37 GMT",
            "Sun, 06 Nov 0000 08:49:37 GMT",
            "Sun, 06 Jan 0000 08:49:37 GMT",
            "Sun, +6 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 199411111111111111111111 08:49:37 GMT",
            "\u{f6}, 06 Nov 1994 08:49:37 GMT x",
        ] {
            assert_eq!(parse(text.as_bytes(), NOW), None, "{text}");
        }
        assert_eq!(parse(b"\xff", NOW), None);
    }
}
