// A conversation that would not fit the model's window for long: what is older becomes a summary
// that the model has written, what is newest stays word for word.

#include "agent/loop/fields.h"
#include "agent/loop/loop.h"

namespace agent {

using base::Result;
namespace json = base::json;

namespace {

/// The first message that is the model's, and the last one: its calls and their results go
/// together.
struct Turns {
    std::size_t first = 0, last = 0;
};

Turns turns_of(const json::array& messages) {
    Turns out{messages.size(), messages.size()};
    for (std::size_t i = 0; i < messages.size(); ++i) {
        if (text_at(messages[i], "/role") != "assistant") continue;
        if (out.first == messages.size()) out.first = i;
        out.last = i;
    }
    return out;
}

}  // namespace

Result<json::value> compact(const json::value& in) {
    const json::array& messages = list_at(in, "/messages");
    const Turns turns = turns_of(messages);
    const json::value* before = at(in, "/progress");
    json::object progress =
        before != nullptr && before->is_object() ? before->get_object() : json::object();
    progress["condense"] = false;
    progress["tokens"] = count_at(progress, "/tokens") + count_at(in, "/usage/total_tokens");
    json::array out;
    for (std::size_t i = 0; i < turns.first; ++i) out.push_back(messages[i]);
    if (turns.last > turns.first) {
        out.push_back({{"role", "user"},
                       {"content", "What was done so far, in your own words (data):\n" +
                                       text_at(in, "/summary")}});
    }
    for (std::size_t i = turns.last; i < messages.size(); ++i) out.push_back(messages[i]);
    return json::object{{"messages", std::move(out)}, {"progress", std::move(progress)}};
}

}  // namespace agent
