extern "C" __global__ void __launch_bounds__(256) kernel_d19a789a74f4f922(
    const float* __restrict__ x,
    float* __restrict__ out,
    const int n0,
    const int n1,
    const int x_0_1)
{
    const int lane = threadIdx.x / 32;
    for (int p = blockIdx.x * 32; p < n0; p += gridDim.x * 32) {
        const bool mine = p + threadIdx.x % 32 < n0;
        const int row = mine ? p + threadIdx.x % 32 : n0 - 1;
        const int end = !mine ? 0 : n1;
        float t1 = 0.0f;
        float t2 = 0.0f;
        float t3 = 0.0f;
        for (int j = lane; j < end;) {
            for (int e = 0; e < 16 && j < end; ++e, j += 8) {
                const float v0 = x[row + j * x_0_1];
                t1 = t1 + v0;
            }
            t2 = sg_gather_f32(t2, t1, t3);
            t1 = 0.0f;
        }
        t1 = t2 + t3;
        __shared__ float shared_t1[8][32];
        shared_t1[threadIdx.x / 32][threadIdx.x % 32] = t1;
        __syncthreads();
        t1 = shared_t1[0][threadIdx.x % 32];
        for (int k = 1; k < 8; ++k) {
            t1 = t1 + shared_t1[k][threadIdx.x % 32];
        }
        __syncthreads();
        const float v1 = t1;  // test_cuda_printer.py:50  "column_sum": lambda: [sg.sum(x, axis=0)],
        if (mine && lane == 0) {
            out[row] = v1;
        }
    }
}
SG_KERNEL(kernel_d19a789a74f4f922)
