#pragma once
// The tools, resources and prompts that the protocol's official conformance suite calls by name.
// `dougong mcp serve --conformance` offers them and nothing else; no other server has them.

#include <functional>

#include "agent/mcp/features.h"

namespace agent::mcp::conformance {

class FixtureTools final : public Tools {
public:
    /// `changed`: told by the tools that change a list.
    explicit FixtureTools(std::function<void(const Change&)> changed)
        : changed_(std::move(changed)) {}
    std::vector<json::object> list(const Caller& caller) const override;
    base::Result<Outcome> call(std::string_view name, const json::object& arguments,
                               Exchange& exchange) override;
    bool only_as_task(std::string_view name) const override;

private:
    const std::function<void(const Change&)> changed_;
};

class FixtureResources final : public Resources {
public:
    std::vector<json::object> list(const Caller& caller) const override;
    std::vector<json::object> templates(const Caller& caller) const override;
    base::Result<Outcome> read(std::string_view uri, Exchange& exchange) override;
};

class FixturePrompts final : public Prompts {
public:
    std::vector<json::object> list(const Caller& caller) const override;
    base::Result<Outcome> get(std::string_view name, const json::object& arguments,
                              Exchange& exchange) override;
};

class FixtureCompletions final : public Completions {
public:
    base::Result<std::vector<std::string>> complete(const json::object& reference,
                                                    std::string_view argument,
                                                    std::string_view value,
                                                    const Caller& caller) override;
};

}  // namespace agent::mcp::conformance
