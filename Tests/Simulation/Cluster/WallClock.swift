/// One machine's wall clock: off by something, running a little fast or slow, and set anew now and then.
struct WallClock {
    /// 2023-11-14: any moment does.
    static let beginning: UInt64 = 1_700_000_000_000

    /// Milliseconds off.
    var skew: Int64 = 0
    /// Milliseconds that it is far off besides.
    var far: Int64 = 0
    /// Millionths that it runs too fast.
    var drift: Int64 = 0

    /// Milliseconds since 1970.
    func wall(at now: Microseconds) -> UInt64 {
        let right = Int64(Self.beginning) + Int64(now / 1_000)
        return UInt64(right + skew + far + Int64(now / 1_000_000) * drift / 1_000)
    }
}
