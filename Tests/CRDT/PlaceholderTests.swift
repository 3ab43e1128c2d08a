import Testing

@Test func placeholderCRDT() { #expect(Bool(true)) }
