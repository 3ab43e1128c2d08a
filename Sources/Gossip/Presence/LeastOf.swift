/// The `limit` least of what is offered: a heap with the greatest of them on top, so that nearly all of many are turned
/// away by one comparison.
struct LeastOf<Element> {
    private let limit: Int
    private let isLess: (Element, Element) -> Bool
    private var heap: [Element] = []

    init(_ limit: Int, by isLess: @escaping (Element, Element) -> Bool) {
        self.limit = limit
        self.isLess = isLess
    }

    mutating func offer(_ element: Element) {
        if heap.count < limit {
            heap.append(element)
            // Only a heap that is full is asked for its greatest.
            if heap.count == limit {
                for at in stride(from: limit / 2 - 1, through: 0, by: -1) { sink(at) }
            }
        } else if let greatest = heap.first, isLess(element, greatest) {
            heap[0] = element
            sink(0)
        }
    }

    func sorted() -> [Element] { heap.sorted(by: isLess) }

    private mutating func sink(_ start: Int) {
        var at = start
        while true {
            let left = 2 * at + 1
            guard left < heap.count else { return }
            let right = left + 1
            let child = right < heap.count && isLess(heap[left], heap[right]) ? right : left
            guard isLess(heap[at], heap[child]) else { return }
            heap.swapAt(at, child)
            at = child
        }
    }
}
