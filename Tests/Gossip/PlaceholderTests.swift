import Testing

@Test func placeholderGossip() { #expect(Bool(true)) }
