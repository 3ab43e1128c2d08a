import ConvergeWire

/// What nodes have said, as one JSON text for programs: the verdict, and each answer whole, as the node gave it.
public enum StatusJSON {
    public static func text(_ answers: [NodeAnswer], _ verdict: ClusterVerdict) -> String {
        var json = ByteBuffer()
        json.append("{\"whole\":\(verdict.isWhole),\"documents\":\"\(verdict.documents.rawValue)\",\"problems\":[")
        for (index, problem) in verdict.problems.enumerated() {
            if index > 0 { json.append(",") }
            json.appendJSONString(Text(problem))
        }
        json.append("],\"nodes\":[")
        for (index, answer) in answers.enumerated() {
            if index > 0 { json.append(",") }
            json.append("{\"url\":")
            json.appendJSONString(Text(answer.url))
            switch answer.outcome {
            case .failed(let why):
                json.append(",\"error\":")
                json.appendJSONString(Text(why))
            case .report(_, let age):
                json.append(",\"age\":\(age),\"answer\":")
                json.append(answer.json)
            }
            json.append("}")
        }
        json.append("]}\n")
        return plain(json.array())
    }

    /// The same JSON in printable ASCII: outside it stand characters of strings, which can be written as escapes. A line
    /// end between two values becomes a blank.
    static func plain(_ json: [UInt8]) -> String {
        var plain = ""
        for scalar in String(decoding: json, as: UTF8.self).unicodeScalars {
            switch scalar.value {
            case 0x20...0x7E: plain.unicodeScalars.append(scalar)
            case 0x09, 0x0A, 0x0D: plain += " "
            default:
                for unit in UTF16.encode(scalar).unsafelyUnwrapped {
                    let digits = String(unit, radix: 16)
                    plain += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
                }
            }
        }
        while plain.last == " " { plain.removeLast() }
        return plain + "\n"
    }
}
