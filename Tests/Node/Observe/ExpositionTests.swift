import ConvergeStorage
import ConvergeTransport
import ConvergeWire
import Testing

@testable import ConvergeNode

/// Prometheus's exposition format, read by a small parser of its own.
@Suite("Metrics: exposition") struct ExpositionTests {
    @Test("every metric has help and a type once, before its samples; names, values and their order are well-formed")
    func wellFormed() {
        let metrics = Metrics(depths: QueueDepths(core: { 7 }))
        metrics.committed(entries: 3, nanoseconds: 1_200_000)
        metrics.publish(ClusterStatus.sample(peers: 3))
        var problems: [String] = []
        var helped: Set<Substring> = []
        var types: [Substring: Substring] = [:]
        for line in metrics.exposition().split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
            // Of labels, only the reasons of refusals have blanks in them.
            let words = line.hasPrefix("#") ? line.split(separator: " ") : Self.sample(line)
            if line.hasPrefix("# HELP ") {
                if !helped.insert(words[2]).inserted || words.count < 4 { problems.append("\(line)") }
            } else if line.hasPrefix("# TYPE ") {
                if types.updateValue(words[3], forKey: words[2]) != nil || !helped.contains(words[2]) {
                    problems.append("\(line)")
                }
            } else {
                let name = words.first?.split(separator: "{").first ?? ""
                let family = ["_bucket", "_sum", "_count"].reduce(name) {
                    $0.hasSuffix($1) && types[$0] == nil ? $0.dropLast($1.count) : $0
                }
                if types[family] == nil || words.count != 2 || Double(words[1]) == nil
                    || !name.hasPrefix("converge_") && !name.hasPrefix("process_")
                {
                    problems.append("\(line)")
                }
                if (types[family] == "counter") != name.hasSuffix("_total") {
                    problems.append("a counter's name: \(line)")
                }
            }
        }
        #expect(problems == [])
        #expect(types.count > 25 && helped.count == types.count)
    }

    /// A sample's name with its labels, and its value.
    private static func sample(_ line: Substring) -> [Substring] {
        guard let blank = line.lastIndex(of: " ") else { return [line] }
        return [line[..<blank], line[line.index(after: blank)...]]
    }

    @Test("refusals have their reasons as labels, whoever refused, and their sum is all of them")
    func refusals() {
        let metrics = Metrics(depths: QueueDepths())
        var counters = CoreCounters()
        counters.refused[Refusal.busy.rawValue] = 3
        counters.refused[Refusal.storageUnavailable.rawValue] = 1
        metrics.publish(counters)
        metrics.refusedByLoops.add(2, ErrorCode.busy.text.string)
        metrics.refusedByLoops.add(1, ErrorCode.unknownType.text.string)
        let lines = metrics.exposition().split(separator: "\n").filter { $0.hasPrefix("converge_refused_total{") }
        for line in [
            #"converge_refused_total{reason="busy"} 5"#, #"converge_refused_total{reason="storage unavailable"} 1"#,
            #"converge_refused_total{reason="unknown type"} 1"#, #"converge_refused_total{reason="invalid room"} 0"#,
        ] {
            #expect(lines.contains(Substring(line)), "\(line)")
        }
        #expect(lines.compactMap { Self.sample($0).last.flatMap { Int($0) } }.reduce(0, +) == 7)
    }

    @Test("the process says what Prometheus's own libraries would, and descriptors are those of the fullest table")
    func process() throws {
        let metrics = Metrics(
            depths: QueueDepths(), sizes: { StoreSizes(database: 4_096, writeAheadLog: 32) })
        metrics.loopConnections[1].set(1_000_000)
        let text = metrics.exposition()
        for line in [
            "process_open_fds 1000007", #"converge_build_info{version="\#(ConvergeVersion.current)"} 1"#,
            "converge_database_bytes 4096", "converge_database_wal_bytes 32",
        ] {
            #expect(text.contains("\n" + line + "\n"), "\(line)")
        }
        func value(_ name: String) throws -> Double {
            let line = try #require(text.split(separator: "\n").first { $0.hasPrefix(name + " ") })
            return try #require(Double(line.split(separator: " ")[1]))
        }
        let now = Double(SystemClock.wallMilliseconds()) / 1_000
        let started = try value("process_start_time_seconds")
        #expect(started > now - 86_400 && started < now + 1)
        #expect(try value("process_cpu_seconds_total") > 0)
        #expect(try value("process_max_fds") > 10)
        #expect(try value("process_virtual_memory_bytes") > value("process_resident_memory_bytes"))
        #expect(try value("process_resident_memory_bytes") > 1_048_576)
        metrics.loopConnections[1].set(0)
        let shown = metrics.exposition().firstMatch(of: /\nprocess_open_fds (\d+)\n/).flatMap { Int($0.1) }
        #expect(shown.map { (4..<100_000).contains($0) } == true)
    }

    @Test("histograms are cumulative and end with all")
    func histogram() {
        let histogram = Histogram(bounds: [1, 2, 4], unit: 1)
        for value in [0, 1, 2, 3, 4, 5, 100] { histogram.observe(value) }
        #expect(histogram.cumulative == [2, 3, 5, 7])
        #expect(histogram.total == 115)
        let metrics = Metrics(depths: QueueDepths())
        metrics.committed(entries: 3, nanoseconds: 1_200_000)
        let text = metrics.exposition()
        for line in [
            #"converge_commit_entries_bucket{le="2.0"} 0"#, #"converge_commit_entries_bucket{le="4.0"} 1"#,
            #"converge_commit_entries_bucket{le="+Inf"} 1"#, "converge_commit_entries_sum 3.0",
            "converge_commit_entries_count 1", #"converge_commit_seconds_bucket{le="0.001"} 0"#,
            #"converge_commit_seconds_bucket{le="0.0025"} 1"#,
        ] {
            #expect(text.contains(line + "\n"), "\(line)")
        }
    }

    @Test("what the core counts is what is shown")
    func core() {
        let metrics = Metrics(depths: QueueDepths(core: { 7 }))
        var counters = CoreCounters()
        counters.messages = 11
        counters.saveQueue = 5
        counters.storeReady = true
        metrics.publish(counters)
        let text = metrics.exposition()
        for line in [
            "converge_messages_total 11", "converge_save_queue 5", "converge_store_ready 1", "converge_core_mailbox 7",
        ] {
            #expect(text.contains("\n" + line + "\n"), "\(line)")
        }
        #expect(metrics.isReady)
    }

    @Test("what is wrong with the store is said where readiness is asked for, and counted by its kind")
    func trouble() {
        let metrics = Metrics(depths: QueueDepths())
        var counters = CoreCounters()
        metrics.publish(counters)
        #expect(metrics.unreadiness == "the store is not available")
        for kind in StoreError.Kind.allCases {
            counters.storeTrouble = kind
            metrics.publish(counters)
            #expect(metrics.unreadiness == "the store is not available: \(kind.words)")
            let ones = metrics.exposition().split(separator: "\n").filter {
                $0.hasPrefix("converge_store_trouble{") && $0.hasSuffix(" 1")
            }
            #expect(ones == ["converge_store_trouble{reason=\"\(kind.rawValue)\"} 1"])
        }
        counters.storeTrouble = nil
        metrics.publish(counters)
        let lines = metrics.exposition().split(separator: "\n")
        #expect(!lines.contains { $0.hasPrefix("converge_store_trouble{") && $0.hasSuffix(" 1") })
    }

    @Test("peers have their names and replicas as labels, in which nothing breaks a line")
    func peers() {
        let metrics = Metrics(depths: QueueDepths())
        #expect(metrics.exposition().contains("\nconverge_peer_links 0\n"))
        var status = ClusterStatus.sample(peers: 2)
        status.members[1].name = "a\"b\\c\nd"
        status.members[1].state = .suspect
        metrics.peers.strangersRefused.add(1)
        metrics.peers.bytesIn.add(70)
        metrics.publish(status)
        let text = metrics.exposition()
        for line in [
            "converge_peer_links 2", #"converge_peer_members{state="alive"} 1"#,
            #"converge_peer_members{state="suspect"} 1"#, #"converge_peer_members{state="forgotten"} 0"#,
            #"converge_peer_members{state="replaced"} 0"#,
            #"converge_peer_lag_entries{peer="n1",replica="0000000000000001"} 3"#,
            #"converge_peer_lag_seconds{peer="n1",replica="0000000000000001"} 1.5"#,
            #"converge_peer_lag_entries{peer="a\"b\\c\nd",replica="0000000000000002"} 3"#,
            #"converge_peer_clock_skew_seconds{peer="n1",replica="0000000000000001"} -0.02"#,
            #"converge_peer_links_refused_total{reason="stranger"} 1"#,
            #"converge_peer_links_refused_total{reason="hello"} 0"#, "converge_peer_bytes_in_total 70",
        ] {
            #expect(text.contains("\n" + line + "\n"), "\(line)")
        }
    }
}
