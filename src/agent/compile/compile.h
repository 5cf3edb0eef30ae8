#pragma once
// From a pack to the workflow that is its run. Pure: the same pack and tools give the same text, so
// that an unchanged pack is an unchanged version. Everything a run survives, shows and costs is
// then the workflow's: journal, resume, fork, replay, budgets, approval, live view.

#include <span>
#include <string>
#include <string_view>

#include "agent/pack/pack.h"

namespace agent {

/// Of the workflow that a pack's runs are runs of.
std::string workflow_name(std::string_view pack);
/// The pack's name again; empty: the workflow is no agent's.
std::string_view agent_of(std::string_view workflow);

/// A workflow document. Pre: `tools` are those the pack was read with.
base::json::object compile(const Pack& pack, std::span<const Tool> tools);

}  // namespace agent
