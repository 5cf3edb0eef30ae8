#pragma once
// What the steps of a definition are, found by their path in a run without allocating: for those
// who hear of every event.

#include <string>
#include <string_view>
#include <unordered_map>

#include "flow/definition/definition.h"

namespace flow {

/// "train" of "each[3].train" and of "each[3].train~undo".
std::string_view step_name(std::string_view path);
/// The block a step is in: "each[3]" of "each[3].train"; empty for the run's own steps.
std::string_view block_of(std::string_view path);

class StepKinds {
public:
    struct Kind {
        std::string_view word;   ///< "llm", "for_each" ...
        std::string_view model;  ///< of an llm step that names one
        const Step* step = nullptr;
    };
    /// Holds the definition.
    explicit StepKinds(std::shared_ptr<const Definition> definition);
    /// Null: the definition has no such step (any more).
    const Kind* find(std::string_view path) const;
    const Definition& definition() const { return *definition_; }

private:
    void add(const Block& block);

    std::shared_ptr<const Definition> definition_;
    std::unordered_map<std::string_view, Kind> kinds_;  ///< keys are of the definition
};

}  // namespace flow
