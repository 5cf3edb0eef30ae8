#include "gate/model_choice.h"

#include <algorithm>
#include <string>

namespace gate {
namespace {

std::string names_of(const std::vector<ModelCard>& cards) {
    std::string names;
    for (const ModelCard& card : cards) names += (names.empty() ? "" : ", ") + card.id;
    return names.empty() ? "none yet" : names;
}

/// How well a card fits a task that names none: 0 is not at all, and the best must be alone.
std::uint64_t fitness(const ModelCard& card, Task task) {
    constexpr std::uint64_t kMoreThanAnyPreference = 1ull << 32;
    switch (task) {
        case Task::generate:
            return card.generates ? card.preference : 0;
        case Task::embed:
            if (!card.embeds || card.preference == 0) return 0;
            return card.preference + (card.generates ? 0 : kMoreThanAnyPreference);
        case Task::tokenize:
            return card.preference;
    }
    return 0;
}

}  // namespace

base::Result<ModelCard> choose_model(std::vector<ModelCard> cards, std::string_view model,
                                     Task task) {
    if (!model.empty()) {
        const auto found = std::ranges::find(cards, model, &ModelCard::id);
        if (found != cards.end()) return std::move(*found);
        return base::fail_on("model", base::Code::not_found,
                             "model '{}' does not exist here; there is: {}", model.substr(0, 200),
                             names_of(cards));
    }
    const auto fit = [&](const ModelCard& card) { return fitness(card, task); };
    const auto best = std::ranges::max_element(cards, {}, fit);
    const bool any = best != cards.end() && fit(*best) > 0;
    if (any && (task == Task::tokenize || std::ranges::count(cards, fit(*best), fit) == 1)) {
        return std::move(*best);
    }
    return base::fail_on("model", base::Code::failed_precondition,
                         "'model' is missing, and it is not clear which is meant; there is: {}",
                         names_of(cards));
}

std::string_view state_name(ModelState state) {
    switch (state) {
        case ModelState::unloaded:
            return "unloaded";
        case ModelState::loading:
            return "loading";
        case ModelState::ready:
            return "ready";
        case ModelState::unloading:
            return "unloading";
        case ModelState::failed:
            return "failed";
    }
    return "failed";
}

ApiError model_error(const base::Error& error) {
    return error.code == base::Code::not_found ? backend_error(error) : request_error(error);
}

}  // namespace gate
