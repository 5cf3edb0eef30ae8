// A generation's events on their way to whoever reads them.
#include "gate/generation.h"

namespace gate {

/// Sends the head before the first event, so that errors until then have their own status.
void Generation::pump_stream() {
    ReaderPtr reader;
    bool begin = false;
    {
        const std::lock_guard lock(mutex_);
        if (cancelled_ || refused_) return;
        if (!begun_ && reader_ && first_error_locked()) return;  // complete() answers once all end
        reader = reader_;
        begin = !std::exchange(begun_, true);
        if (begin) stream_started_ = gateway_.deps.clock.now();
        asked_ = reader != nullptr;
    }
    if (!reader) return;
    if (begin) open_stream(reader);
    reader->responder->notify();
}

void Generation::open_stream(const ReaderPtr& reader) {
    base::http::Responder& responder = *reader->responder;
    responder.begin_stream(200, {{"Content-Type", "text/event-stream; charset=utf-8"},
                                 {"Cache-Control", "no-cache"},
                                 {"X-Accel-Buffering", "no"}});
    responder.set_source(
        [self = shared_from_this(), reader](std::string& out) { self->fill(reader, out); });
}

/// Network thread: everything that came since the last time, merged into as few events as it takes.
void Generation::fill(const ReaderPtr& reader, std::string& out) {
    bool done = false, finish_now = false;
    {
        const std::lock_guard lock(mutex_);
        if (!parsed_.resumable && (finished_ || refused_ || cancelled_)) return;
        if (reader->ended) {  // another took its place
            done = true;
        } else if (parsed_.resumable) {
            log_events_locked();
            log_.read(reader->next, out);
            reader->next = log_.next_id();
        } else {
            write_events_locked(out);
            finish_now = written_;
        }
        if (reader == reader_) asked_ = false;
        done = done || written_;
        if (done && reader == reader_) {
            reader_ = nullptr;
            unread_since_ = gateway_.deps.clock.now();
        }
        reader->ended = done;
    }
    if (!done) return;
    reader->responder->end();
    if (finish_now) finish(200);
}

void Generation::log_events_locked() {
    std::string events;
    if (written_) return;
    EventText text(events, log_.next_id(), true);
    append_choices_locked(text);
    log_.add(std::move(events), text.next_id());
}

void Generation::write_events_locked(std::string& out) {
    if (written_) return;
    EventText text(out, next_event_, false);
    append_choices_locked(text);
    next_event_ = text.next_id();
}

void Generation::append_choices_locked(EventText& text) {
    for (std::size_t i = 0; i < choices_.size(); ++i) {
        ChoiceOutput& output = choices_[i].output;
        if (output.pieces.empty() && output.logprobs.empty() && !output.ended) continue;
        writer_->append_events(text, static_cast<std::uint32_t>(i), output);
    }
    pending_bytes_ = 0;
    if (ended_ == choices_.size()) write_end_locked(text);
}

void Generation::write_end_locked(EventText& text) {
    writer_->append_end(text, answer_end_locked());
    written_ = true;
    stream_ended_ = unread_since_ = gateway_.deps.clock.now();
    // Stored before the client knows that it is complete, because it may ask at once.
    if (responses_ != nullptr) store_response_locked();
}

base::Result<void> Generation::attach(const base::http::ResponderPtr& responder,
                                      std::uint64_t from) {
    auto reader = std::make_shared<Reader>(Reader{responder, from, false});
    ReaderPtr before;
    bool begun = false;
    {
        const std::lock_guard lock(mutex_);
        if (refused_) {
            return base::fail_on("after", base::Code::not_found, "the stream never began");
        }
        if (from < log_.first_id()) {
            return base::fail_on("after", base::Code::not_found,
                                 "events before {} are dropped: the stream is over {} bytes long",
                                 log_.first_id(), gateway_.options.stream_log_bytes_max);
        }
        if (from > log_.next_id()) {
            return base::fail_on("after", base::Code::invalid_argument,
                                 "event {} has not been sent yet; the next one is {}", from,
                                 log_.next_id());
        }
        before = std::exchange(reader_, reader);
        if (before) before->ended = true;
        begun = std::exchange(begun_, true);
        asked_ = true;
    }
    if (before && begun) before->responder->end();
    if (before && !begun) {  // it has no head yet, and an end alone would leave its client waiting
        before->responder->send(render(request_error(
            {base::Code::invalid_argument, "another reader took this stream over", "id"})));
    }
    responder->on_closed([weak = weak_from_this(), reader] {
        const auto self = weak.lock();
        if (!self) return;
        const std::lock_guard lock(self->mutex_);
        if (self->reader_ != reader) return;
        self->reader_ = nullptr;
        self->unread_since_ = self->gateway_.deps.clock.now();
    });
    open_stream(reader);
    responder->notify();
    return {};
}

bool Generation::idle_since(base::Instant then) const {
    const std::lock_guard lock(mutex_);
    const bool unread = finished_ || reader_ == nullptr;
    return unread && unread_since_.ns != 0 && unread_since_ < then;
}

}  // namespace gate
