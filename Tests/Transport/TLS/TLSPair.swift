import ConvergeTransport

/// Two ends of one connection, coupled in memory.
struct TLSPair: ~Copyable {
    var client: TLSStream
    var server: TLSStream
    private(set) var clientError: TLSError?
    private(set) var serverError: TLSError?
    /// All ciphertext that each end has sent.
    private(set) var sentByClient: [UInt8] = []
    private(set) var sentByServer: [UInt8] = []

    init(client: TLSContext, host: String? = nil, attempt: Int = 0, server: TLSContext) throws {
        let first = try TLSStream(context: client, role: .client(host: host), attempt: attempt)
        let second = try TLSStream(context: server, role: .server)
        self.client = first
        self.server = second
    }

    /// Goes on until neither has anything to say, in pieces of so many bytes.
    mutating func connect(piece: Int = .max) {
        repeat {
            if clientError == nil { clientError = client.shake() }
            if serverError == nil { serverError = server.shake() }
        } while carry(piece: piece)
    }

    /// Takes to each what the other has to send; false where that was nothing.
    mutating func carry(piece: Int = .max) -> Bool {
        let (toServer, toClient) = (client.output(), server.output())
        sentByClient += toServer
        sentByServer += toClient
        if let error = server.deliver(toServer, piece: piece), serverError == nil { serverError = error }
        if let error = client.deliver(toClient, piece: piece), clientError == nil { clientError = error }
        return !toServer.isEmpty || !toClient.isEmpty
    }

    var isEstablished: Bool { client.isEstablished && server.isEstablished }
}

extension TLSStream {
    mutating func shake() -> TLSError? {
        do throws(TLSError) {
            _ = try handshake()
            return nil
        } catch {
            return error
        }
    }

    mutating func output() -> [UInt8] {
        var bytes: [UInt8] = []
        takeOutput(into: &bytes)
        return bytes
    }

    /// Gives it bytes in pieces, and has it go on after each.
    mutating func deliver(_ bytes: [UInt8], piece: Int = .max) -> TLSError? {
        var rest = bytes[...]
        do throws(TLSError) {
            while !rest.isEmpty {
                try take(Array(rest.prefix(piece)))
                rest = rest.dropFirst(piece)
                if !isEstablished { _ = try handshake() }
            }
            return nil
        } catch {
            return error
        }
    }

    mutating func take(_ bytes: [UInt8]) throws(TLSError) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        defer { buffer.deallocate() }
        buffer.copyBytes(from: bytes)
        try receive(UnsafeRawBufferPointer(buffer))
    }

    mutating func say(_ bytes: [UInt8]) throws(TLSError) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        defer { buffer.deallocate() }
        buffer.copyBytes(from: bytes)
        try write(UnsafeRawBufferPointer(buffer))
    }

    /// All that can be read now.
    mutating func heard(atOnce size: Int = 50_000) throws(TLSError) -> [UInt8] {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 1)
        defer { buffer.deallocate() }
        var all: [UInt8] = []
        while true {
            let count = try read(into: buffer)
            if count == 0 { return all }
            all += buffer.prefix(count)
        }
    }
}
