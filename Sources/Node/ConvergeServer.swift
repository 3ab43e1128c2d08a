import ConvergeStorage

/// Stands in for the server until that is merged; nothing here stays but the signatures.
public final class ConvergeServer: Sendable {
    private let options: ServerOptions

    public init(store: any Store, options: ServerOptions) throws(ServerError) { self.options = options }

    public var port: UInt16 { options.port }
    public func start() throws(ServerError) { throw ServerError(message: "this build has no server") }
    public func stop() {}
}

public struct ServerError: Error, Sendable {
    public let message: String
}
