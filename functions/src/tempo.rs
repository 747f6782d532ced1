//! The speed of a platform, which a function keeps to.

use std::thread;
use std::time::{Duration, Instant};

use gradshard::cost::workload::MIB;
use gradshard::cost::{Functions, Speed};
use serde::{Deserialize, Serialize};

/// The speed of a function on a platform. Work that is faster here waits; work that is slower is as slow as it is. By default
/// nothing waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tempo {
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
    /// Returns the speed of a function with `memory_mib` MiB on `platform`: the terms of [`Speed::duration`].
    pub fn of(platform: &Functions, memory_mib: u64) -> Tempo {
        let vcpus = platform.vcpus(memory_mib);
        let Speed { get_vcpu_s, read_mib_per_s, put_s, write_mib_per_s, sum_mib_per_vcpu_s, .. } = &platform.speed;
        Tempo {
            get_s: get_vcpu_s.get() / vcpus,
            read_s_per_mib: 1.0 / read_mib_per_s.get(),
            sum_s_per_mib: 1.0 / (sum_mib_per_vcpu_s.get() * vcpus),
            put_s: put_s.get(),
            write_s_per_mib: 1.0 / write_mib_per_s.get(),
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
        let tempo = Tempo::of(&platform, 884);
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
    }
}
