package tcp

// fifo is a queue whose memory is used again. Taking from it costs the same
// however long it is.
type fifo[T any] struct {
	items []T
	head  int // of items: those before have left
}

func (q *fifo[T]) len() int { return len(q.items) - q.head }

// all is what is in the queue, the oldest first. It is good until the queue
// changes.
func (q *fifo[T]) all() []T { return q.items[q.head:] }

func (q *fifo[T]) push(item T) { q.items = append(q.items, item) }

// drop takes the oldest n off. They move up when half of the memory is theirs,
// so each is moved once at most.
func (q *fifo[T]) drop(n int) {
	clear(q.items[q.head : q.head+n])
	if q.head += n; 2*q.head >= len(q.items) {
		left := copy(q.items, q.items[q.head:])
		clear(q.items[max(left, q.head):])
		q.items, q.head = q.items[:left], 0
	}
	if len(q.items) == 0 && cap(q.items) > 64 {
		q.items = nil // an idle connection keeps little
	}
}

// unpush takes the newest one off.
func (q *fifo[T]) unpush() {
	var none T
	last := len(q.items) - 1
	q.items[last] = none
	q.items = q.items[:last]
}
