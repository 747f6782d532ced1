//! Reads how busy a node's cores are, over all programs, and their frequency.

/// Times of a node's cores since it booted. The kernel counts them in ticks, usually of 10 ms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Busy seconds of all cores.
    pub busy: f64,
    /// Seconds in which the hypervisor ran others on the cores.
    pub stolen: f64,
    /// Number of online hardware threads.
    pub cores: u64,
}

impl Load {
    /// Reads this node's current values; None if /proc/stat does not have them.
    pub fn now() -> Option<Load> {
        // SAFETY: sysconf only returns a constant here.
        let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
        Load::parse(&std::fs::read_to_string("/proc/stat").ok()?, u32::try_from(ticks).ok().filter(|t| *t > 0)?)
    }

    /// Parses /proc/stat (proc(5)), whose columns are user, nice, system, idle, iowait, irq, softirq, steal. `user`
    /// includes the time of guests.
    fn parse(text: &str, ticks_a_second: u32) -> Option<Load> {
        let mut lines = text.lines();
        let mut all = lines.next()?.strip_prefix("cpu ")?.split_whitespace().map(|ticks| ticks.parse::<u64>());
        let mut next = || all.next()?.ok();
        let (user, nice, system, _idle, _iowait) = (next()?, next()?, next()?, next()?, next()?);
        let (irq, softirq) = (next()?, next()?);
        // Kernels before 2.6.11 lack this column.
        let stolen = next().unwrap_or(0);
        let is_core = |line: &&str| line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(char::is_numeric));
        let seconds = |ticks: u64| ticks as f64 / f64::from(ticks_a_second);
        Some(Load {
            busy: seconds(user + nice + system + irq + softirq),
            stolen: seconds(stolen),
            cores: lines.take_while(is_core).count() as u64,
        })
    }
}

/// Returns the frequency of the core that the caller runs on, MHz. None if the kernel does not report it, as in most
/// virtual machines.
pub fn core_mhz() -> Option<f64> {
    // SAFETY: sched_getcpu takes no arguments and returns a number.
    let core = unsafe { libc::sched_getcpu() };
    let path = format!("/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq");
    let khz: f64 = std::fs::read_to_string(path).ok()?.trim().parse().ok()?;
    Some(khz / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_seconds() {
        let text =
            "cpu  100 20 30 1000 7 4 6 50 11 12\ncpu0 50 10 15 500 3 2 3 25 0 0\ncpu1 1 1 1 1 1 1 1 1 1 1\nintr 5 6\n";
        assert_eq!(Load::parse(text, 100), Some(Load { busy: 1.6, stolen: 0.5, cores: 2 }));
        // Text of an old kernel, then texts in other formats.
        let old = Load::parse("cpu  100 20 30 1000 7 4 6\ncpu0 1 1 1 1 1 1 1\n", 100);
        assert_eq!(old, Some(Load { busy: 1.6, stolen: 0.0, cores: 1 }));
        assert_eq!(Load::parse("cpu0 1 2 3 4 5 6 7 8\n", 100), None);
        assert_eq!(Load::parse("cpu  1 2 x 4 5 6 7 8\n", 100), None);
        assert_eq!(Load::parse("", 100), None);
    }

    #[test]
    fn this_machine_has_been_busy() {
        let load = Load::now().expect("/proc/stat");
        assert!(load.busy > 0.0 && load.cores > 0, "{load:?}");
        assert!(core_mhz().is_none_or(|mhz| (100.0..20_000.0).contains(&mhz)));
    }
}
