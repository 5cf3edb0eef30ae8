#include "flow/observe/step_kinds.h"

#include "flow/definition/graph.h"
#include "flow/run/state.h"

namespace flow {

std::string_view step_name(std::string_view path) {
    if (path.ends_with(kUndoSuffix)) path.remove_suffix(kUndoSuffix.size());
    const std::size_t inner = path.rfind("].");
    return inner == std::string_view::npos ? path : path.substr(inner + 2);
}

std::string_view block_of(std::string_view path) {
    const std::size_t inner = path.rfind("].");
    return inner == std::string_view::npos ? std::string_view() : path.substr(0, inner + 1);
}

StepKinds::StepKinds(std::shared_ptr<const Definition> definition)
    : definition_(std::move(definition)) {
    if (definition_->body != nullptr) add(*definition_->body);
}

void StepKinds::add(const Block& block) {
    for (const Step& step : block.steps) {
        Kind kind{kind_name(step.action), {}, &step};
        if (const auto* llm = std::get_if<LlmAction>(&step.action)) kind.model = llm->model;
        if (const auto* loop = std::get_if<LoopAction>(&step.action)) {
            kind.word = loop->items ? "for_each" : "while";
            add(*loop->body);
        } else if (const auto* choose = std::get_if<ChooseAction>(&step.action)) {
            for (const auto& arm : choose->arms) {
                if (arm.block != nullptr) add(*arm.block);
            }
        } else if (const auto* parallel = std::get_if<ParallelAction>(&step.action)) {
            for (const auto& branch : parallel->branches) add(*branch.block);
        }
        kinds_.emplace(step.id, kind);
    }
}

const StepKinds::Kind* StepKinds::find(std::string_view path) const {
    const auto found = kinds_.find(step_name(path));
    return found == kinds_.end() ? nullptr : &found->second;
}

}  // namespace flow
