extern "C" __global__ void __launch_bounds__(256) kernel_dc740755ce0dee4f_0(
    const float* __restrict__ x,
    float* __restrict__ out,
    float* __restrict__ part_v2_0,
    const int n0,
    const int length,
    const int parts)
{
    const int lane = threadIdx.x % 256;
    const int part = blockIdx.y;
    for (int p = blockIdx.x * 1; p < 1; p += gridDim.x * 1) {
        const int row = p;
        const int begin = part * length;
        const int end = begin + length < n0 ? begin + length : n0;
        float t1 = 0.0f;
        float t2 = 0.0f;
        float t3 = 0.0f;
        for (int j = begin + lane * 4; j < end;) {
            for (int e = 0; e < 4 && j < end; ++e, j += 1024) {
                const auto x_1 = sg_load<float, 4>(x + j);
                #pragma unroll
                for (int k = 0; k < 4; ++k) {
                    const float v0 = x_1.at[k];
                    const float v1 = v0 * v0;  // test_cuda_printer.py:52  "sum_of_all": lambda: [sg.sum(x * x)],
                    t1 = t1 + v1;
                }
            }
            t2 = sg_gather_f32(t2, t1, t3);
            t1 = 0.0f;
        }
        t1 = t2 + t3;
        for (int k = 1; k < 32; k *= 2) {
            const float t4 = sg_shuffle_xor(t1, k);
            t1 = t1 + t4;
        }
        __shared__ float shared_t1[8];
        if (threadIdx.x % 32 == 0) {
            shared_t1[threadIdx.x / 32] = t1;
        }
        __syncthreads();
        t1 = shared_t1[threadIdx.x % 8];
        for (int k = 1; k < 8; k *= 2) {
            const float t5 = sg_shuffle_xor(t1, k);
            t1 = t1 + t5;
        }
        __syncthreads();
        if (lane == 0) {
            part_v2_0[row * parts + part] = t1;
        }
    }
}
SG_KERNEL(kernel_dc740755ce0dee4f_0)

extern "C" __global__ void __launch_bounds__(256) kernel_dc740755ce0dee4f_1(
    const float* __restrict__ x,
    float* __restrict__ out,
    float* __restrict__ part_v2_0,
    const int n0,
    const int length,
    const int parts)
{
    const int lane = threadIdx.x % 256;
    for (int p = blockIdx.x * 1; p < 1; p += gridDim.x * 1) {
        const int row = p;
        const int end = n0;
        float t6 = 0.0f;
        for (int j = lane; j < parts; j += 256) {
            t6 = t6 + part_v2_0[row * parts + j];
        }
        for (int k = 1; k < 32; k *= 2) {
            const float t7 = sg_shuffle_xor(t6, k);
            t6 = t6 + t7;
        }
        __shared__ float shared_t6[8];
        if (threadIdx.x % 32 == 0) {
            shared_t6[threadIdx.x / 32] = t6;
        }
        __syncthreads();
        t6 = shared_t6[threadIdx.x % 8];
        for (int k = 1; k < 8; k *= 2) {
            const float t8 = sg_shuffle_xor(t6, k);
            t6 = t6 + t8;
        }
        __syncthreads();
        const float v2 = t6;
        if (lane == 0) {
            out[0] = v2;
        }
    }
}
SG_KERNEL(kernel_dc740755ce0dee4f_1)
