import COpenSSL
import Glibc

/// Why there is no TLS, or none any more. No case holds anything secret.
public enum TLSError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A context can't be made: of which file, and why.
    case unusable(file: String?, reason: String)
    /// The other side of a peer link does not have the cluster's secret, or did not use it.
    case notAuthenticated
    /// The handshake failed for another reason.
    case handshakeFailed(String)
    /// An established connection broke: bytes were changed, or the other side complained.
    case broken(String)
    /// The other side has said that it ends (close_notify). A connection that ends without was cut.
    case closed
    /// More bytes came than may wait, or more messages of the protocol itself than anybody has use for.
    case tooMuch
    /// Something was to be written before the handshake was done.
    case notEstablished

    public var description: String {
        switch self {
        case .unusable(let file?, let reason): "\(file): \(reason)"
        case .unusable(nil, let reason): "TLS: \(reason)"
        case .notAuthenticated: "the other side does not know this cluster's secret"
        case .handshakeFailed(let reason): "TLS handshake failed: \(reason)"
        case .broken(let reason): "TLS: \(reason)"
        case .closed: "the other side has closed the TLS connection"
        case .tooMuch: "TLS: the other side sends more than it may"
        case .notEstablished: "TLS: the handshake is not done"
        }
    }
}

/// What OpenSSL says went wrong in the last call of this thread. Its queue of errors belongs to the thread.
struct TLSFault {
    let library: Int32
    let reason: Int32
    let text: String

    /// Empties the queue: before each call whose errors will be asked for.
    static func forget() { ERR_clear_error() }

    /// The first error of the queue, which is the cause of the others; empties it.
    static func take() -> TLSFault {
        let code = ERR_get_error()
        ERR_clear_error()
        let (library, reason) = (ERR_GET_LIB(code), ERR_GET_REASON(code))
        if code == 0 { return TLSFault(library: 0, reason: 0, text: "no reason is known") }
        if library == ERR_LIB_SYS {
            return TLSFault(library: library, reason: reason, text: String(cString: strerror(reason)))
        }
        let text = ERR_reason_error_string(code).map { String(cString: $0) } ?? "error \(code)"
        return TLSFault(library: library, reason: reason, text: text)
    }
}
