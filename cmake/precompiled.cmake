# SPDX-License-Identifier: Apache-2.0
# Headers that nearly every file of an area reads, parsed once for each set of flags: nlohmann's alone take 4 s of a
# file's 9, so this halves the build. A file never relies on them: it includes what it uses (tools/used_headers.py).
option(PLAIT_PRECOMPILED "Parse common headers once for each set of flags" OFF)

# -fpch-preprocess and -fno-pch-timestamp are what a compiler cache needs to know such files by their contents; see
# CCACHE_SLOPPINESS in tools/setup.sh. The four warnings come from the inside of libstdc++ 12's strings, which GCC takes
# for a system header only where it reads it itself.
set(PLAIT_PRECOMPILED_OPTIONS
  $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess> "$<$<CXX_COMPILER_ID:Clang>:SHELL:-Xclang -fno-pch-timestamp>")
foreach(warning array-bounds restrict stringop-overflow stringop-overread)
  list(APPEND PLAIT_PRECOMPILED_OPTIONS $<$<CXX_COMPILER_ID:GNU>:-Wno-${warning}>)
endforeach()

set(PLAIT_COMMON_HEADERS
  <algorithm> <chrono> <expected> <filesystem> <functional> <map> <memory> <optional> <span> <string> <string_view>
  <unordered_map> <utility> <variant> <vector> <fmt/format.h> <nlohmann/json.hpp>)

# plait_headers(KIND [OPTION…] HEADERS header… LINK library…)   The precompiled headers that plait_precompiled() names.
function(plait_headers kind)
  cmake_parse_arguments(PARSE_ARGV 1 PCH "" "" "OPTIONS;HEADERS;LINK")
  if(NOT PLAIT_PRECOMPILED)
    return()
  endif()
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/precompiled_${kind}.cc CONTENT "// Carries precompiled headers.\n")
  add_library(plait_headers_${kind} OBJECT ${PROJECT_BINARY_DIR}/precompiled_${kind}.cc)
  target_compile_options(plait_headers_${kind} PRIVATE ${PCH_OPTIONS} ${PLAIT_PRECOMPILED_OPTIONS})
  target_link_libraries(plait_headers_${kind} PRIVATE plait_warnings fmt::fmt nlohmann_json::nlohmann_json ${PCH_LINK})
  target_precompile_headers(plait_headers_${kind} PRIVATE ${PLAIT_COMMON_HEADERS} ${PCH_HEADERS})
endfunction()

function(plait_precompiled target kind)
  if(PLAIT_PRECOMPILED)
    target_compile_options(${target} PRIVATE ${PLAIT_PRECOMPILED_OPTIONS})
    target_precompile_headers(${target} REUSE_FROM plait_headers_${kind})
  endif()
endfunction()

plait_headers(hot)
plait_headers(cold OPTIONS ${PLAIT_COLD_OPTIONS})
plait_headers(cli OPTIONS ${PLAIT_COLD_OPTIONS} HEADERS <CLI/CLI.hpp> LINK CLI11::CLI11)
if(PLAIT_TESTS AND NOT PLAIT_FUZZ)
  plait_headers(test OPTIONS ${PLAIT_COLD_OPTIONS} HEADERS <gtest/gtest.h> <gmock/gmock.h> LINK GTest::gmock)
endif()
