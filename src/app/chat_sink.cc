#include "app/chat_sink.h"

#include <utility>

namespace app {

using engine::chat::Event;

ChatSink::ChatSink(ChatSinkOptions options)
    : parser_(std::move(options.format), std::move(options.tools), std::move(options.parser)),
      stops_(std::move(options.stop)),
      parallel_(options.parallel) {}

void ChatSink::push(std::string_view text, std::optional<gate::TokenLogprobs> logprobs,
                    gate::TokenDelta& delta) {
    if (logprobs) tokens_.add(*std::move(logprobs), text.size());
    parser_.push(text, events_);
    tell({delta.text, delta.reasoning, delta.tool_calls, delta.logprobs});
    tokens_.decided(parser_.decided());
}

void ChatSink::finish(std::string_view text, gate::GenerationEnd& end) {
    if (!stops_.matched()) {
        const Pieces pieces{end.text, end.reasoning, end.tool_calls, end.logprobs};
        tokens_.extend(text.size());
        parser_.push(text, events_);
        parser_.finish(events_);
        tell(pieces);
        show(stops_.finish(), pieces);
    }
    const bool called = parser_.calls() > 0 && end.finish == gate::Finish::stop;
    if (called) end.finish = gate::Finish::tool_calls;
}

bool ChatSink::has_enough() const {
    return stops_.matched().has_value() || (!parallel_ && parser_.calls_finished() > 0);
}

void ChatSink::tell(Pieces pieces) {
    for (Event& event : events_) {
        if (stops_.matched() || (!parallel_ && event.index > 0)) continue;
        switch (event.kind) {
            case Event::Kind::content:
                tokens_.content(event.at, event.text.size());
                show(stops_.push(event.text), pieces);
                break;
            case Event::Kind::reasoning:
                pieces.reasoning += event.text;
                break;
            case Event::Kind::call:
                pieces.tool_calls.push_back(
                    {event.index, std::move(event.id), std::move(event.name), {}});
                break;
            case Event::Kind::arguments: {
                auto& calls = pieces.tool_calls;
                if (calls.empty() || calls.back().index != event.index) {
                    calls.push_back({event.index, {}, {}, {}});
                }
                calls.back().arguments += event.text;
                break;
            }
        }
    }
    events_.clear();
}

void ChatSink::show(std::string_view content, const Pieces& pieces) {
    pieces.text += content;
    tokens_.shown(content.size(), pieces.logprobs);
}

}  // namespace app
