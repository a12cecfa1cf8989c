//! Owns what the system tells of a process: processor time and memory. Linux alone tells it here.

use std::fs;
use std::time::Duration;

/// What a process has used.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// User and system time since its start.
    pub(crate) cpu: Duration,
    /// Most resident memory at any time.
    pub(crate) rss_peak_bytes: u64,
    /// Bytes that it caused to be written to disks.
    pub(crate) written_bytes: u64,
}

/// Looks at a process; what can't be read is zero.
pub(crate) fn usage(pid: u32) -> Usage {
    let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    Usage {
        cpu: cpu_of(&read("stat"), rustix::param::clock_ticks_per_second()),
        rss_peak_bytes: field_of(&read("status"), "VmHWM:") * 1024,
        written_bytes: field_of(&read("io"), "write_bytes:"),
    }
}

/// The processor time of this process.
pub(crate) fn own_cpu() -> Duration {
    usage(std::process::id()).cpu
}

/// One line that says what machine this is.
pub(crate) fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("", |rest| rest.trim_start_matches(['\t', ' ', ':']));
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let gib = field_of(&memory, "MemTotal:") >> 20;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cores} cores, {model}, {gib} GiB, kernel {}",
        kernel.trim()
    )
}

/// The load of the last minute; others' work shows here.
pub(crate) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or_default().to_owned()
}

/// User and system time of a line of `/proc/PID/stat`; the name in it may hold anything.
fn cpu_of(stat: &str, ticks_per_second: u64) -> Duration {
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let mut next = || fields.next().and_then(|text| text.parse::<u64>().ok());
    let ticks = next().unwrap_or(0) + next().unwrap_or(0);
    Duration::from_secs(ticks) / u32::try_from(ticks_per_second.max(1)).unwrap_or(1)
}

fn field_of(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_ascii_whitespace().next());
    number.and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_read() {
        let stat = "12 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0";
        assert_eq!(cpu_of(stat, 100), Duration::from_secs(3));
        assert_eq!(cpu_of("", 100), Duration::ZERO);
        assert_eq!(field_of("VmPeak: 9 kB\nVmHWM:\t  123 kB\n", "VmHWM:"), 123);
        assert_eq!(field_of("", "VmHWM:"), 0);
    }
}
