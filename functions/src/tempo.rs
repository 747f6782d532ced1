//! The speed of a platform, which a function keeps to.

use std::collections::BTreeSet;
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use gradshard::cost::workload::MIB;
use gradshard::cost::{Functions, Speed};
use serde::{Deserialize, Serialize};

/// A part of the platform's time that a round keeps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum PlatformPart {
    /// The bytes per second of a function from and to the store.
    Bandwidth,
    /// The share of a vCPU that comes with the memory: the time of sums, and of requests if delays are kept to.
    Cpu,
    /// The delay of each request and of each level.
    Delay,
}

/// The parts of the platform's time that a round keeps to. Its text has their names with commas between.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct KeptTime {
    /// The parts.
    pub kept: BTreeSet<PlatformPart>,
    /// Configured delay before a function begins, seconds.
    pub cold_start_s: f64,
}

impl KeptTime {
    /// True if the round keeps to this part.
    pub fn keeps(&self, part: PlatformPart) -> bool {
        self.kept.contains(&part)
    }
}

impl fmt::Display for KeptTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.kept.iter().map(|part| format!("{part:?}").to_lowercase());
        f.write_str(&names.collect::<Vec<String>>().join(","))
    }
}

/// The speed of a function on a platform. Work that is faster here waits; work that is slower is as slow as it is. By default
/// nothing waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tempo {
    /// Time before the function begins, seconds.
    pub cold_start_s: f64,
    /// Time of a read request beside its bytes, seconds.
    pub get_s: f64,
    /// Time of a MiB that is read, seconds.
    pub read_s_per_mib: f64,
    /// Time of a MiB that is summed, seconds.
    pub sum_s_per_mib: f64,
    /// Time of a write request beside its bytes, seconds.
    pub put_s: f64,
    /// Time of a MiB that is written, seconds.
    pub write_s_per_mib: f64,
}

impl Tempo {
    /// Returns the parts that `pace` keeps to of the speed of a function with `memory_mib` MiB on `platform`: the terms of
    /// [`Speed::duration`].
    pub fn of(platform: &Functions, memory_mib: u64, pace: &KeptTime) -> Tempo {
        let vcpus = if pace.keeps(PlatformPart::Cpu) { platform.vcpus(memory_mib) } else { 1.0 };
        let only = |part: PlatformPart, seconds: f64| if pace.keeps(part) { seconds } else { 0.0 };
        let Speed { get_vcpu_s, read_mib_per_s, put_s, write_mib_per_s, sum_mib_per_vcpu_s, .. } = &platform.speed;
        Tempo {
            cold_start_s: pace.cold_start_s,
            get_s: only(PlatformPart::Delay, get_vcpu_s.get() / vcpus),
            read_s_per_mib: only(PlatformPart::Bandwidth, 1.0 / read_mib_per_s.get()),
            sum_s_per_mib: only(PlatformPart::Cpu, 1.0 / (sum_mib_per_vcpu_s.get() * vcpus)),
            put_s: only(PlatformPart::Delay, put_s.get()),
            write_s_per_mib: only(PlatformPart::Bandwidth, 1.0 / write_mib_per_s.get()),
        }
    }

    /// Reads `bytes` bytes by one request with `work`.
    pub fn read<T>(&self, bytes: usize, work: impl FnOnce() -> T) -> T {
        lasting(self.get_s + self.read_s_per_mib * bytes as f64 / MIB, work)
    }

    /// Sums `bytes` bytes of inputs with `work`.
    pub fn sum<T>(&self, bytes: usize, work: impl FnOnce() -> T) -> T {
        lasting(self.sum_s_per_mib * bytes as f64 / MIB, work)
    }

    /// Writes `bytes` bytes by one request with `work`.
    pub fn write<T>(&self, bytes: usize, work: impl FnOnce() -> T) -> T {
        lasting(self.put_s + self.write_s_per_mib * bytes as f64 / MIB, work)
    }
}

/// Calls `work`, and returns no sooner than `seconds` after the call.
pub fn lasting<T>(seconds: f64, work: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let done = work();
    // Seconds that are no duration are refused where they are read.
    let wanted = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    thread::sleep(wanted.saturating_sub(begin.elapsed()));
    done
}

#[cfg(test)]
mod tests {
    use gradshard::cost::platform::aws_lambda_s3;

    use super::*;

    /// 884 MiB come with half a vCPU: a GET takes 2 · 0.02817 s, and 2 MiB more 2 / 53.28 s; their sum 2 / 2,520 s; a PUT of
    /// 2 MiB 0.2507 + 2 / 65.79 s. Their time is that of the model, and some more where a thread wakes up late.
    #[test]
    fn work_takes_as_long_as_on_the_platform() {
        let mut platform = aws_lambda_s3().unwrap();
        platform.memory.mib_per_vcpu.value = gradshard::cost::sourced::Positive::new(1768.0).unwrap();
        let all = KeptTime {
            kept: [PlatformPart::Bandwidth, PlatformPart::Cpu, PlatformPart::Delay].into(),
            cold_start_s: 0.5,
        };
        let tempo = Tempo::of(&platform, 884, &all);
        for (seconds, work) in [
            (0.056_34 + 0.037_54, &(|| tempo.read(2 << 20, || ())) as &dyn Fn()),
            (0.000_794, &|| tempo.sum(2 << 20, || ())),
            (0.2507 + 0.0304, &|| tempo.write(2 << 20, || ())),
        ] {
            let begin = Instant::now();
            work();
            let took = begin.elapsed().as_secs_f64();
            assert!((seconds - 1e-4..seconds + 0.5).contains(&took), "{took}, not {seconds}");
        }
        // Each part by itself; without the share of the CPU a GET takes its time on a whole one.
        let only = |part| Tempo::of(&platform, 884, &KeptTime { kept: [part].into(), cold_start_s: 0.5 });
        let none = Tempo { cold_start_s: 0.5, ..Tempo::default() };
        let Tempo { read_s_per_mib, write_s_per_mib, sum_s_per_mib, put_s, .. } = tempo;
        assert_eq!(only(PlatformPart::Bandwidth), Tempo { read_s_per_mib, write_s_per_mib, ..none });
        assert_eq!(only(PlatformPart::Cpu), Tempo { sum_s_per_mib, ..none });
        assert_eq!(only(PlatformPart::Delay), Tempo { get_s: 0.02817, put_s, ..none });
        assert_eq!(all.to_string(), "bandwidth,cpu,delay");
    }
}
