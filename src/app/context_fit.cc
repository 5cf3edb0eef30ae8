#include "app/context_fit.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

namespace app {
namespace {

namespace json = base::json;
using base::Code;
using base::Result;
using engine::TokenId;

std::string_view role_of(const json::value& message) {
    const json::object* object = message.if_object();
    const json::value* role = object != nullptr ? object->if_contains("role") : nullptr;
    return role != nullptr && role->is_string() ? std::string_view(role->get_string())
                                                : std::string_view();
}

bool is_system(const json::value& message) {
    return role_of(message) == "system" || role_of(message) == "developer";
}

/// Tries cuts, the least first that is short enough by bisection: each costs a rendering.
class Search {
public:
    Search(const json::array& messages, const RenderPrompt& render)
        : messages_(messages), render_(render), cuts_(cuts_of(messages)) {}

    /// The least cut that leaves at most `tokens`. None: no cut does.
    Result<std::optional<std::vector<TokenId>>> within(std::size_t tokens) {
        std::optional<std::vector<TokenId>> best;
        std::size_t begin = 0, end = cuts_.size();
        while (begin < end) {
            const std::size_t middle = begin + (end - begin) / 2;
            std::vector<TokenId> prompt = DG_TRY(render_(without(messages_, cuts_[middle])));
            least_ = std::min(least_, prompt.size());
            if (prompt.size() <= tokens) {
                best = std::move(prompt);
                end = middle;
            } else {
                begin = middle + 1;
            }
        }
        return best;
    }
    /// Of the prompts that were tried the shortest.
    std::size_t least() const { return least_; }

private:
    const json::array& messages_;
    const RenderPrompt& render_;
    std::vector<MessageCut> cuts_;
    std::size_t least_ = SIZE_MAX;
};

}  // namespace

std::vector<MessageCut> cuts_of(const json::array& messages) {
    const std::size_t count = messages.size();
    const std::size_t lead = system_messages(messages).size();
    std::vector<MessageCut> cuts;
    std::size_t last_turn = lead;
    for (std::size_t i = lead + 1; i < count; ++i) {
        if (role_of(messages[i]) != "user" || role_of(messages[i - 1]) == "user") continue;
        last_turn = i;
        cuts.push_back({lead, i, i, i});
    }
    std::size_t answers = last_turn;
    while (answers < count && role_of(messages[answers]) == "user") ++answers;
    for (std::size_t i = answers + 1; i < count; ++i) {
        if (role_of(messages[i]) == "tool") continue;
        cuts.push_back({lead, last_turn, answers, i});
    }
    return cuts;
}

json::array system_messages(const json::array& messages) {
    json::array leading;
    for (const json::value& message : messages) {
        if (!is_system(message)) break;
        leading.push_back(message);
    }
    return leading;
}

json::array without(const json::array& messages, const MessageCut& cut) {
    json::array left;
    for (std::size_t i = 0; i < messages.size(); ++i) {
        const bool out = (i >= cut.first_begin && i < cut.first_end) ||
                         (i >= cut.second_begin && i < cut.second_end);
        if (!out) left.push_back(messages[i]);
    }
    return left;
}

Result<FittedPrompt> fit_prompt(std::vector<TokenId> whole, const json::array& messages,
                                std::uint32_t context_tokens, const RenderPrompt& render) {
    const std::size_t size = whole.size();
    const std::size_t room = context_tokens > 0 ? context_tokens - 1 : 0;
    if (size <= room) return FittedPrompt{std::move(whole), 0};
    const std::size_t step = std::max<std::size_t>(1, context_tokens / 4);
    const std::size_t drop = (size - room + step - 1) / step * step;
    Search search(messages, render);
    auto prompt = DG_TRY(search.within(size - std::min(size, drop)));
    if (!prompt) prompt = DG_TRY(search.within(room));
    if (!prompt) {
        return base::fail_on("context_tokens", Code::invalid_argument,
                             "the conversation has {} tokens and the context holds {}, one of "
                             "which must stay free for the answer; without all that may be left "
                             "out it still has {}: shorten the system prompt or the last turn",
                             size, context_tokens, std::min(size, search.least()));
    }
    const auto dropped = static_cast<std::uint32_t>(size - prompt->size());
    return FittedPrompt{*std::move(prompt), dropped};
}

}  // namespace app
