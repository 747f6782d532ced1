//! Reads how many bytes a node's network interfaces have carried.

use std::fs;
use std::path::Path;

/// Bytes that a node's interfaces have carried since it booted, envelopes included.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
pub struct Carried {
    /// Bytes received.
    pub into: u64,
    /// Bytes sent.
    pub out: u64,
}

impl Carried {
    /// Reads this node's current values: of its physical network devices, or of all but the loopback device where none
    /// is physical, as in a container; and of its InfiniBand ports. None if the kernel has no counters.
    pub fn now() -> Option<Carried> {
        let devices = fs::read_to_string("/proc/net/dev").ok();
        let class = Path::new("/sys/class");
        Some(Carried::default())
            .map(|none| devices.map_or(none, |text| network(&text, class)).plus(infiniband(class)))
            .filter(|carried| *carried != Carried::default())
    }

    /// The bytes since an earlier reading.
    pub fn since(self, before: Carried) -> Carried {
        Carried { into: self.into.saturating_sub(before.into), out: self.out.saturating_sub(before.out) }
    }

    fn plus(self, other: Carried) -> Carried {
        Carried { into: self.into + other.into, out: self.out + other.out }
    }
}

/// ARPHRD_INFINIBAND, the type of devices whose bytes the InfiniBand ports count as well.
const INFINIBAND: &str = "32";

/// Sums the lines of /proc/net/dev (proc(5)): a name, eight columns of receiving, eight of sending, bytes first.
fn network(text: &str, class: &Path) -> Carried {
    let lines = text.lines().filter_map(|line| {
        let (name, columns) = line.split_once(':')?;
        let columns: Vec<u64> = columns.split_whitespace().filter_map(|column| column.parse().ok()).collect();
        Some((name.trim(), Carried { into: *columns.first()?, out: *columns.get(8)? }))
    });
    let device = |name: &str| class.join("net").join(name);
    let over_infiniband =
        |name: &str| fs::read_to_string(device(name).join("type")).is_ok_and(|text| text.trim() == INFINIBAND);
    let devices: Vec<(&str, Carried)> = lines.filter(|(name, _)| *name != "lo" && !over_infiniband(name)).collect();
    let physical = |name: &str| device(name).join("device").exists();
    let any = devices.iter().any(|(name, _)| physical(name));
    let counted = devices.iter().filter(|(name, _)| !any || physical(name));
    counted.fold(Carried::default(), |sum, (_, carried)| sum.plus(*carried))
}

/// Sums the data counters of all InfiniBand ports, which count words of 4 bytes.
fn infiniband(class: &Path) -> Carried {
    let below = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let ports = below(&class.join("infiniband")).flat_map(|device| below(&device.join("ports")).collect::<Vec<_>>());
    ports.fold(Carried::default(), |sum, port| {
        let words = |name: &str| {
            let text = fs::read_to_string(port.join("counters").join(name)).unwrap_or_default();
            text.trim().parse::<u64>().unwrap_or(0)
        };
        sum.plus(Carried { into: 4 * words("port_rcv_data"), out: 4 * words("port_xmit_data") })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 1000 1 0 0 0 0 0 0 1000 1 0 0 0 0 0 0
  eth0: 70 2 0 0 0 0 0 0 30 1 0 0 0 0 0 0
   ib0: 900 2 0 0 0 0 0 0 800 1 0 0 0 0 0 0
docker0: 5 1 0 0 0 0 0 0 6 1 0 0 0 0 0 0
";

    #[test]
    fn devices_count_once() {
        let class = tempfile::tempdir().expect("a directory");
        assert_eq!(network(TEXT, class.path()), Carried { into: 975, out: 836 });
        let write = |path: &str, text: &str| {
            let path = class.path().join(path);
            fs::create_dir_all(path.parent().expect("below")).expect("a directory");
            fs::write(path, text).expect("a file");
        };
        write("net/ib0/type", "32\n");
        write("net/ib0/device/vendor", "");
        assert_eq!(network(TEXT, class.path()), Carried { into: 75, out: 36 });
        write("net/eth0/device/vendor", "");
        assert_eq!(network(TEXT, class.path()), Carried { into: 70, out: 30 });
        write("infiniband/mlx5_0/ports/1/counters/port_rcv_data", "25\n");
        write("infiniband/mlx5_0/ports/1/counters/port_xmit_data", "10\n");
        assert_eq!(infiniband(class.path()), Carried { into: 100, out: 40 });
    }
}
