#pragma once
// Answers of /v1/chat/completions and /v1/completions in OpenAI's shapes.

#include <string>

#include "gate/answer_writer.h"

namespace gate {

class ChatWriter final : public AnswerWriter {
public:
    struct Facts {
        bool chat = true;            ///< else plain completions
        bool include_usage = false;  ///< streams: every event has "usage"
        bool logprobs = false;
        std::string id, model, system_fingerprint;
        std::int64_t created_unix_s = 0;
    };
    explicit ChatWriter(Facts facts);

    void append_events(EventText& out, std::uint32_t index, ChoiceOutput& choice) override;
    void append_end(EventText& out, const AnswerEnd& end) override;
    std::string whole_answer(std::span<ChoiceOutput* const> choices, const AnswerEnd& end) override;

private:
    std::string& open_event(EventText& out, std::uint32_t index) const;
    void append_piece(EventText& out, std::uint32_t index, const Piece& piece,
                      LogprobText* logprobs) const;
    void close_event(std::string& out, LogprobText* logprobs) const;
    void append_finish(EventText& out, std::uint32_t index, const GenerationEnd& end) const;
    void append_message(std::string& out, const JoinedAnswer& answer) const;

    Facts facts_;
    std::string event_head_;  // up to and including "choices":[{"index":
    std::string event_tail_;  // after the choice
};

}  // namespace gate
