# SPDX-License-Identifier: Apache-2.0
# One function makes an area's library, tests, benches and fuzzers from the files that are there.
#   name.cc        the library plait_<area>
#   name_test.cc   one test program per area, <area>_test
#   name_bench.cc  one bench program per area, <area>_bench
#   name_fuzz.cc   one program each: a libFuzzer target in the fuzz preset, else a corpus replay
#   name_probe.cc  one program each, that tests in other languages ask
# Files named *_avx2.cc, *_avxvnni.cc, *_avx512.cc, *_amx.cc get the flags of that instruction set; no other file does.

set(PLAIT_ISA_avx2 -mavx2 -mfma -mf16c)
set(PLAIT_ISA_avxvnni ${PLAIT_ISA_avx2} -mavxvnni)
set(PLAIT_ISA_avx512 ${PLAIT_ISA_avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni -mavx512vbmi)
set(PLAIT_ISA_amx ${PLAIT_ISA_avx512} -mavx512bf16 -mamx-tile -mamx-int8 -mamx-bf16)

# PLAIT_QUICK_BUILD: nothing in these areas is hot, and what they use is templates through and through: -O1 saves a
# third of the build (cli.cc 10.5 s at -O3, 6.5 s at -O1). The same goes for tests; benches measure what Release makes.
set(PLAIT_COLD_AREAS hub net operations serving cli)
set(PLAIT_COLD_OPTIONS $<$<AND:$<BOOL:${PLAIT_QUICK_BUILD}>,$<CONFIG:Release>>:-O1>)

# PLAIT_UNITY: most of what a file takes is what it includes, and the inline functions of that; compiled by eights an
# area takes a quarter (cli) to a half (evaluation) of the time. Unnamed namespaces are then those of eight files.
# Kernels stay apart: there single files take longest. So do experiments, which all have figures, gates and a seed, and
# the builds whose tools replace single objects (fuzz, dev).
# GCC takes what stands in an unnamed namespace of an included file for one of a header.
function(plait_unity target area)
  if(PLAIT_UNITY AND NOT area STREQUAL "kernels")
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
    target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-subobject-linkage>)
    get_target_property(files ${target} SOURCES)
    list(FILTER files INCLUDE REGEX "/experiments/")
    set_source_files_properties(${files} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  endif()
endfunction()

function(plait_isa_flags)
  foreach(file IN LISTS ARGN)
    foreach(isa avx2 avxvnni avx512 amx)
      if(file MATCHES "_${isa}\\.cc$")
        set_source_files_properties(${file} PROPERTIES
          COMPILE_OPTIONS "${PLAIT_ISA_${isa}}" SKIP_PRECOMPILE_HEADERS ON)
      endif()
    endforeach()
  endforeach()
endfunction()

function(plait_packages target scope)
  foreach(package IN LISTS ARGN)
    target_link_libraries(${target} ${scope} ${PLAIT_PACKAGE_${package}})
  endforeach()
endfunction()

function(plait_area name)
  cmake_parse_arguments(PARSE_ARGV 1 AREA "" "" "USES;PACKAGES")
  set(dir ${PROJECT_SOURCE_DIR}/src/${name})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${dir}/*.cc)
  set(tests ${sources})
  set(benches ${sources})
  set(fuzzers ${sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER benches INCLUDE REGEX "_bench\\.cc$")
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cc$")
  set(probes ${sources})
  list(FILTER probes INCLUDE REGEX "_probe\\.cc$")
  list(FILTER sources EXCLUDE REGEX "_(test|bench|fuzz|probe|main)\\.cc$")
  plait_isa_flags(${sources})

  if(sources)
    add_library(plait_${name} STATIC ${sources})
    set(scope PUBLIC)
    target_link_libraries(plait_${name} PRIVATE plait_warnings)
    plait_unity(plait_${name} ${name})
    if(name IN_LIST PLAIT_COLD_AREAS)
      target_compile_options(plait_${name} PRIVATE ${PLAIT_COLD_OPTIONS})
    endif()
    if(name STREQUAL "cli")
      plait_precompiled(plait_${name} cli)
    elseif(name IN_LIST PLAIT_COLD_AREAS)
      plait_precompiled(plait_${name} cold)
    elseif(name STREQUAL "text" OR "text" IN_LIST AREA_USES)
      plait_precompiled(plait_${name} hot)
    endif()
  else()
    add_library(plait_${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(plait_${name} ${scope} ${PROJECT_SOURCE_DIR}/src)
  list(TRANSFORM AREA_USES PREPEND plait_)
  target_link_libraries(plait_${name} ${scope} ${AREA_USES})
  plait_packages(plait_${name} ${scope} ${AREA_PACKAGES})

  if(NOT PLAIT_TESTS OR name STREQUAL "testing")
    return()
  endif()
  foreach(fuzzer IN LISTS fuzzers)
    get_filename_component(program ${fuzzer} NAME_WE)
    plait_fuzzer(${program} ${name} ${fuzzer})
  endforeach()
  if(PLAIT_FUZZ)
    return()
  endif()
  if(tests)
    add_executable(${name}_test ${tests})
    plait_unity(${name}_test ${name})
    target_compile_options(${name}_test PRIVATE ${PLAIT_COLD_OPTIONS})
    target_link_libraries(${name}_test PRIVATE plait_${name} plait_testing plait_warnings GTest::gmock_main)
    plait_precompiled(${name}_test test)
    plait_discover(${name}_test ${name})
  endif()
  foreach(probe IN LISTS probes)
    get_filename_component(program ${probe} NAME_WE)
    add_executable(${program} ${probe})
    target_compile_options(${program} PRIVATE ${PLAIT_COLD_OPTIONS})
    plait_precompiled(${program} cold)
    target_link_libraries(${program} PRIVATE plait_${name} plait_testing plait_warnings)
  endforeach()
  if(benches)
    add_executable(${name}_bench ${benches})
    target_link_libraries(${name}_bench PRIVATE plait_${name} plait_testing plait_warnings benchmark::benchmark_main
      ${PLAIT_BENCH_BASELINES_${name}})
    # Once each, so that they cannot rot; the cases that take seconds (wide batches, large footprints) are left out.
    add_test(NAME ${name}_bench.runs
      COMMAND ${name}_bench --benchmark_min_time=0 "--benchmark_filter=-m:[0-9][0-9]|MiB:[0-9][0-9]|qwen")
    set_tests_properties(${name}_bench.runs PROPERTIES TIMEOUT 900)
  endif()
endfunction()

# Tests see the source tree through PLAIT_SOURCE_DIR (test data) and may write only below their own temporary folder.
# The names of tests begin with their area, as in `models.Gguf.RefusesHugeCounts`.
function(plait_discover target area)
  target_compile_definitions(${target} PRIVATE PLAIT_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  gtest_discover_tests(${target} TEST_PREFIX "${area}." DISCOVERY_MODE PRE_TEST PROPERTIES TIMEOUT 300)
endfunction()

# The corpus of src/<area>/x_fuzz.cc is src/<area>/corpus/x/.
function(plait_fuzzer program area file)
  string(REGEX REPLACE "_fuzz$" "" subject ${program})
  set(corpus ${PROJECT_SOURCE_DIR}/src/${area}/corpus/${subject})
  add_executable(${program} ${file})
  target_link_libraries(${program} PRIVATE plait_${area} plait_warnings)
  if(area MATCHES "^(serving|store)$")  # what stands on a tiny model or a fake disk; others build without the engine
    target_link_libraries(${program} PRIVATE plait_testing)
  endif()
  if(PLAIT_FUZZ)
    target_link_options(${program} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(${program} PRIVATE ${PROJECT_SOURCE_DIR}/src/testing/fuzz_replay_main.cc)
    add_test(NAME ${program}.corpus COMMAND ${program} ${corpus})
  endif()
endfunction()
