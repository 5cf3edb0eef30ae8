#include "sphere/http/body_stream.h"

#include <utility>

namespace sphere {

std::shared_ptr<BodyStream> BodyStream::begin(base::http::ResponderPtr responder, int status,
                                              base::http::Headers headers) {
    std::shared_ptr<BodyStream> stream(new BodyStream(std::move(responder)));
    // The server drops both once the answer has left or the client has.
    stream->responder_->set_source([stream](std::string& out) { stream->fill(out); });
    stream->responder_->begin_stream(status, std::move(headers));
    stream->responder_->on_closed([stream] { stream->client_left(); });
    return stream;
}

bool BodyStream::write(std::string_view bytes) {
    {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return left_ || waiting_.size() < kWaitingBytesMax; });
        if (left_) return false;
        waiting_ += bytes;
    }
    responder_->notify();
    return true;
}

void BodyStream::end() {
    {
        const std::lock_guard lock(mutex_);
        ended_ = true;
    }
    responder_->notify();
}

void BodyStream::cut() {
    responder_.reset();
}

void BodyStream::fill(std::string& out) {
    bool over = false;
    {
        const std::lock_guard lock(mutex_);
        out += waiting_;
        waiting_.clear();
        over = ended_;
        changed_.notify_all();
    }
    if (over) responder_->end();
}

void BodyStream::client_left() {
    const std::lock_guard lock(mutex_);
    left_ = true;
    changed_.notify_all();
}

}  // namespace sphere
