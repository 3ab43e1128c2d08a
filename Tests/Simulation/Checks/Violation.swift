/// Something that must never be.
struct Violation: CustomStringConvertible {
    /// Which promise was broken.
    enum Rule: String, CaseIterable {
        case equalState = "equal vectors, other states"
        case shownNotStored = "shown, but not stored"
        case order = "out of order"
        case causality = "shown before what it depends on"
        case wrongFrame = "a frame that is not what it shows"
        case answers = "answers"
        case keys = "one key, several messages"
        case after = "placed before what its writer had seen"
        case bounds = "beyond a bound"
        case contract = "the contract with the shell"
        case convergence = "no convergence"
        case history = "history"
        case documents = "documents"
        case presence = "presence"
        case acknowledged = "acknowledged, and not there once"
        case attendance = "joined and left"
        case resume = "resume"
        case links = "links"
        case clocks = "clocks"
    }

    let rule: Rule
    let time: Microseconds
    let node: Int
    let words: String

    var description: String {
        "\(rule.rawValue): \(words) (node \(node), at \(time / 1_000) ms)"
    }
}
