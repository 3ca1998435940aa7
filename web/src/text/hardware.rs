//! What devices call themselves, where it is more than a name.

/// A device's hardware in Chinese: workers name theirs in English.
pub(super) fn chinese(name: &str) -> String {
    let said = name.rsplit_once(", ").and_then(|(processor, threads)| {
        let threads = threads.strip_suffix(" threads").or_else(|| threads.strip_suffix(" thread"))?;
        Some((processor, threads.parse::<u32>().ok()?))
    });
    match said {
        Some(("CPU by WebAssembly", threads)) => format!("CPU（WebAssembly，{threads} 线程）"),
        Some((processor, threads)) => format!("{processor}，{threads} 线程"),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processors_threads_are_said_in_chinese_and_a_name_stays_as_it_is() {
        let named = ["CPU by WebAssembly, 1 thread", "AMD EPYC, 2 threads", "NVIDIA GeForce RTX 3060", "A, B"];
        let said = ["CPU（WebAssembly，1 线程）", "AMD EPYC，2 线程", "NVIDIA GeForce RTX 3060", "A, B"];
        assert_eq!(named.map(chinese), said);
    }
}
