#pragma once
// Policies from text, and requests in one line.

#include <gtest/gtest.h>

#include <string>

#include "sphere/policy/policy_set.h"

namespace sphere::policy {

inline PolicySet set_of(const std::string& text, const std::string& file = "p.yaml") {
    auto policies = parse_policies(text, file);
    EXPECT_TRUE(policies.has_value()) << policies.error().message;
    auto set = PolicySet::create(policies ? std::move(*policies) : std::vector<Policy>{});
    EXPECT_TRUE(set.has_value()) << set.error().message;
    return std::move(*set);
}

inline ToolRequest call(std::string tool, const std::string& arguments = "{}",
                        std::vector<std::string> data = {}) {
    auto parsed = base::parse_json(arguments);
    EXPECT_TRUE(parsed.has_value()) << arguments;
    return {"acme", "writer", std::move(tool), std::move(*parsed), std::move(data)};
}

}  // namespace sphere::policy
