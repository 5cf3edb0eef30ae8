// Steps: who they are, what comes before them, and how they behave when things go wrong.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "flow/definition/definition_shape.h"
#include "flow/definition/reader.h"

namespace flow {

using base::Node;

namespace {

/// These wait for others or for people: no five minutes for them unless the file says so.
bool takes_its_time(std::string_view kind) {
    return kind == "human" || kind == "wait" || kind == "branch" || kind == "switch" ||
           kind == "for_each" || kind == "while" || kind == "parallel" || kind == "subflow" ||
           kind == "worker";
}

std::string_view kind_of(const Node& node) {
    for (const std::string_view kind : step_kinds()) {
        if (node.find(kind) != nullptr) return kind;
    }
    return "";
}

}  // namespace

std::string StepReader::id_of(const Node& node, const std::string& path, std::string_view kind) {
    std::string id;
    Reader::text(node, "id", id);
    if (id.empty()) {
        id = fmt::format("{}_{}", kind.empty() ? "step" : kind, ++made_ids_[std::string(kind)]);
        while (places_.contains(id)) id += "_";
        return id;
    }
    const auto known = places_.find(id);
    if (known == places_.end()) return id;
    in_.fault(*node.find("id"), path + ".id",
              fmt::format("step '{}' is there twice: first in line {}; ids are one per file", id,
                          known->second.node->line));
    while (places_.contains(id)) id += "_";
    return id;
}

std::shared_ptr<const Block> StepReader::block(const Node& steps, const std::string& path,
                                               const std::string& outer) {
    auto out = std::make_shared<Block>();
    if (steps.kind != Node::Kind::list) return out;
    const std::uint32_t number = blocks_++;
    out->steps.resize(steps.items.size());
    for (std::size_t i = 0; i < steps.items.size(); ++i) {
        step(steps.items[i], fmt::format("{}[{}]", path, i), outer, number, out->steps[i]);
    }
    const auto before = dependencies(steps, out->steps);
    order_block(in_, places_, before, out->steps);
    return out;
}

void StepReader::step(const Node& node, const std::string& path, const std::string& outer,
                      std::uint32_t block, Step& out) {
    const std::string_view kind = kind_of(node);
    out.id = id_of(node, path, kind);
    out.line = node.line;
    out.column = node.column;
    StepPlace& place = places_[out.id];
    place.node = &node;
    place.path = path;
    place.kind = kind;
    place.outer = outer;
    place.block = block;
    const std::string around = std::exchange(in_.step, out.id);
    const std::string around_path = std::exchange(in_.step_path, path);
    if (takes_its_time(kind)) out.timeout = milliseconds(0);
    policies(node, path, out, place);
    if (!kind.empty()) {
        out.action = action(kind, *node.find(kind), fmt::format("{}.{}", path, kind), out);
    }
    in_.step = around;
    in_.step_path = around_path;
}

void StepReader::policies(const Node& node, const std::string& path, Step& out, StepPlace& place) {
    Reader::text(node, "title", out.title);
    checkpoint(node, path, out);
    Reader::text(node, "queue", out.queue);
    if (node.find("priority") != nullptr) {
        Reader::number(node, "priority", out.priority.emplace());
    }
    Reader::duration(node, "timeout", out.timeout);
    if (const Node* when = node.find("if")) out.when = in_.expression(*when, path + ".if");
    if (const Node* retry = node.find("retry")) {
        RetryPolicy& policy = out.retry;
        Reader::number(node, "retry", policy.attempts_max);
        Reader::number(*retry, "attempts", policy.attempts_max);
        Reader::duration(*retry, "backoff", policy.backoff);
        Reader::number(*retry, "factor", policy.factor);
        Reader::duration(*retry, "max_backoff", policy.backoff_max);
        Reader::number(*retry, "jitter", policy.jitter);
        Reader::texts(*retry, "on", policy.on);
    }
    std::string word;
    Reader::text(node, "on_error", word);
    if (word == "skip") out.on_error.what = OnError::Do::skip;
    if (word == "pause") out.on_error.what = OnError::Do::pause;
    if (word == "compensate") {
        out.on_error.what = OnError::Do::compensate;
        place.asks_undo = true;
    }
    if (const Node* jump = Reader::map(node, "on_error")) {
        out.on_error.what = OnError::Do::go_to;
        Reader::text(*jump, "goto", out.on_error.target);
        place.jump = out.on_error.target;
        place.jump_node = jump->find("goto");
    }
    if (const Node* schema = node.find("output_schema")) {
        out.output_check = in_.schema(*schema, path + ".output_schema");
    }
    if (const Node* key = node.find("idempotency_key")) {
        out.idempotency_key = in_.value(*key, path + ".idempotency_key");
    }
    if (Reader::map(node, "compensate") != nullptr) {
        place.undoes = true;
        compensation(node, path, out);
    }
}

void StepReader::checkpoint(const Node& node, const std::string& path, Step& out) {
    Reader::text(node, "checkpoint", out.checkpoint);
    const Node* whole = Reader::map(node, "checkpoint");
    if (whole == nullptr) return;
    Reader::text(*whole, "name", out.checkpoint);
    // It is read when the step is done and sees what that gave, as a compensation does.
    out.checkpoint_note = in_.value(*whole, path + ".checkpoint", Sight::compensation);
}

void StepReader::compensation(const Node& node, const std::string& path, Step& out) {
    const Node& undo = *node.find("compensate");
    const std::string_view kind = kind_of(undo);
    if (kind.empty()) return;
    auto made = std::make_shared<Step>();
    made->id = out.id;
    made->line = undo.line;
    made->column = undo.column;
    in_.undoing = true;
    StepPlace nothing;
    policies(undo, path + ".compensate", *made, nothing);
    made->action =
        action(kind, *undo.find(kind), fmt::format("{}.compensate.{}", path, kind), *made);
    in_.undoing = false;
    out.compensation = std::move(made);
}

std::vector<std::vector<std::string>> StepReader::dependencies(const Node& steps,
                                                               const std::vector<Step>& read) {
    std::vector<std::vector<std::string>> before(read.size());
    const bool graph = std::ranges::any_of(
        steps.items, [](const Node& step) { return step.find("depends_on") != nullptr; });
    for (std::size_t i = 0; i < read.size(); ++i) {
        if (!graph) {
            if (i > 0) before[i].push_back(read[i - 1].id);
        } else {
            Reader::texts(steps.items[i], "depends_on", before[i]);
        }
        std::ranges::sort(before[i]);
        const auto [first, last] = std::ranges::unique(before[i]);
        before[i].erase(first, last);
    }
    return before;
}

}  // namespace flow
