#pragma once
// Answers of /v1/responses: a list of items (reasoning, message, function calls) that grow in the
// order in which the model makes them, and the typed events of their growth.

#include <string>
#include <string_view>
#include <vector>

#include "base/json/json.h"
#include "gate/answer_writer.h"

namespace gate {

class ResponsesWriter final : public AnswerWriter {
public:
    struct Facts {
        std::string id;
        std::int64_t created_unix_s = 0;
        bool logprobs = false;
        /// What the answer repeats of the request: model, tools, instructions...
        base::json::object echo;
    };
    explicit ResponsesWriter(Facts facts);

    void append_events(EventText& out, std::uint32_t index, ChoiceOutput& choice) override;
    void append_end(EventText& out, const AnswerEnd& end) override;
    std::string whole_answer(std::span<ChoiceOutput* const> choices, const AnswerEnd& end) override;

    /// The response while it is being made, without output: queued or in_progress.
    std::string unfinished(std::string_view status) const;
    /// What was said, as one chat message for the conversation's next turn.
    base::json::object message() const;

private:
    enum class ItemKind { reasoning, message, call };
    struct Item {
        ItemKind kind;
        std::string id, text, logprobs;  ///< text: of a call its arguments
        std::uint32_t call_index = 0;
        std::string call_id, name;
        bool closed = false;
    };

    void take(EventText* out, ChoiceOutput& choice);
    Item& item_for(EventText* out, const Piece& piece);
    void open_item(EventText& out) const;
    void close_item(EventText* out, std::string_view status);
    void append_item(std::string& out, const Item& item, std::string_view status) const;
    void append_part(std::string& out, const Item& item, bool empty) const;
    void append_response(std::string& out, std::string_view status, const AnswerEnd* end) const;
    std::string& event(EventText& out, std::string_view type) const;
    std::string& item_event(EventText& out, std::string_view type, const Item& item) const;
    std::string_view final_status(const AnswerEnd& end) const;

    Facts facts_;
    std::string id_suffix_;  // item ids are made of the response's
    std::string echo_;       // members of facts_.echo as text, with a comma in front of each
    std::vector<Item> items_;
    Finish finish_ = Finish::stop;
    bool begun_ = false;
};

}  // namespace gate
